#compdef lumienv
# Completion of lumienv's words in zsh: printed by `lumienv completion zsh`.
_lumienv() {
    local -a lines found
    local line tab=$'\t'
    # The first line: what zsh may add by itself. The others: a word, a tab, what it is for.
    lines=("${(@f)$("${(Q)words[1]}" __complete zsh "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null </dev/null)}")
    if (( ${#lines} > 1 )); then
        for line in "${(@)lines[2,-1]}"; do
            found+=("${${line%%$tab*}//:/\\:}${${line#*$tab}:+:${line#*$tab}}")
        done
        _describe -V 'lumienv' found
        return
    fi
    compset -P '--*='
    case ${lines[1]} in
        files) _files ;;
        folders) _files -/ ;;
    esac
}
# From a folder in fpath zsh runs this text as the function itself; else it was read at the shell's start.
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    _lumienv "$@"
else
    compdef _lumienv lumienv
fi
