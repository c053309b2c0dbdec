#compdef keepalive
# Completion of keepalive(1) for zsh. The options come from the command's own definitions.

# DEFINITIONS

# Processes by name and by number, with their command lines. The kernel's threads are the children
# of number 2.
_keepalive_targets() {
    local -a names numbers
    if [[ $PREFIX == /* ]]; then
        _directories
        return
    fi
    names=(${(uf)"$(_call_program names ps --ppid 2 -p 2 --deselect -o comm= 2>/dev/null)"})
    numbers=(${(f)"$(_call_program processes ps --ppid 2 -p 2 --deselect -o pid=,args= 2>/dev/null)"})
    # NUMBER:COMMAND LINE
    numbers=(${${numbers##[[:blank:]]#}/ /:})
    _alternative \
        'names:name of processes:compadd -a names' \
        'groups: :_keepalive_groups' \
        'processes: :{ _describe -t processes process numbers }'
}

# Units, and containers by the scope that they are: directories of the cgroup v2 tree.
_keepalive_groups() {
    local -a groups
    if [[ $PREFIX == /* ]]; then
        _directories
        return
    fi
    groups=(/sys/fs/cgroup/**/*.(service|scope|slice)(N/:t))
    _wanted groups expl unit compadd -a groups
}

_keepalive() {
    local curcontext=$curcontext state line ret=1
    setopt local_options extended_glob
    _arguments -C \
        '(- *)'{-h,--help}'[Print help]' \
        '(- *)'{-V,--version}'[Print version]' \
        '1: :_keepalive_verbs' \
        '*:: :->operands' && ret=0
    if [[ $state == operands ]] && (( $+functions[_keepalive_$words[1]] )); then
        curcontext="${curcontext%:*:*}:keepalive-$words[1]:"
        _keepalive_$words[1] && ret=0
    fi
    return ret
}

if [[ $funcstack[1] == _keepalive ]]; then
    _keepalive "$@"
else
    compdef _keepalive keepalive
fi
