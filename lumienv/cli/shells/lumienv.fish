# Completion of lumienv's words in fish: printed by `lumienv completion fish`.
function __lumienv_complete
    set -l before (commandline -opc)
    set -l current (string unescape -- (commandline -ct))
    # A word, a tab, what it is for: as fish wants it.
    $before[1] __complete fish $before[2..-1] "$current" 2>/dev/null </dev/null
end
complete -c lumienv -f -a '(__lumienv_complete)'
