# Completion of lumienv's words in bash (4.0 and later): printed by `lumienv completion bash`.
_lumienv() {
    local line lines=() tab=$'\t'
    COMPREPLY=()
    # The first line: what bash may add by itself. The others: a word, a tab, what it is for.
    while IFS= read -r line; do
        lines+=("${line%%"$tab"*}")
    done < <("$1" __complete bash "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
    if [[ ${#lines[@]} -gt 1 ]]; then
        COMPREPLY=("${lines[@]:1}")
    else
        case ${lines[0]-} in
            files) compopt -o default ;;
            folders) compopt -o dirnames ;;
        esac
    fi
}
# bash 4.4 and later keep the order.
complete -o nosort -F _lumienv lumienv 2>/dev/null || complete -F _lumienv lumienv
