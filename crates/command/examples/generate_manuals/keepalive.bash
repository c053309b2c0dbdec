# Completion of keepalive(1) for bash. The options come from the command's own definitions.

# DEFINITIONS

# What can be shown: processes by name and by number, the numbers with their command lines behind
# two blanks. Other users choose the names, so those that a shell would take apart are left out. The
# kernel's threads are the children of number 2.
_keepalive_targets() {
    ps --ppid 2 -p 2 --deselect -o comm= 2>/dev/null | LC_ALL=C grep -xE '[A-Za-z0-9_.+@-]+' | sort -u
    _keepalive_groups
    ps --ppid 2 -p 2 --deselect -o pid=,args= 2>/dev/null | sed -E 's/^ *([0-9]+) /\1  /'
}

# Units, and containers by the scope that they are: directories of the cgroup v2 tree.
_keepalive_groups() {
    find /sys/fs/cgroup -type d \( -name '*.service' -o -name '*.scope' -o -name '*.slice' \) 2>/dev/null |
        sed 's|.*/||' | LC_ALL=C grep -xE '[A-Za-z0-9_.+@-]+' | sort -u
}

_keepalive() {
    local word=$2 line=${COMP_LINE:0:COMP_POINT} whole verb option='' value source candidate i=2
    local -a words
    COMPREPLY=()

    # Bash takes words apart at = and @ as well: the whole one, and what stands before it.
    whole=${line##*[[:space:]]}
    read -ra words <<<"${line%"$whole"}"
    verb=${words[1]-} value=$whole
    if ((${#words[@]} < 2)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_keepalive_verbs) $(_keepalive_options '')" -- "$word")
        return
    fi

    if [[ $(_keepalive_source "$verb" '') == program ]]; then
        # Where PROGRAM is, in the words as bash counts them.
        while ((i < COMP_CWORD)); do
            candidate=${COMP_WORDS[i]}
            case $candidate in
            --) ((i += 1)) && break ;;
            -*) ((i += 1)) ;;
            *) break ;;
            esac
            if [[ ${COMP_WORDS[i]} == '=' ]]; then
                ((i += 2))
            elif _keepalive_takes_next "$verb" "$candidate"; then
                ((i += 1))
            fi
        done
        if ((i < COMP_CWORD)); then
            # What bash has for that program.
            if declare -F _comp_command_offset >/dev/null; then
                _comp_command_offset $i
            elif declare -F _command_offset >/dev/null; then
                _command_offset $i
            else
                compopt -o default
            fi
            return
        fi
    fi

    if [[ $whole == --*=* ]]; then
        option=${whole%%=*} value=${whole#*=}
    elif _keepalive_takes_next "$verb" "${words[${#words[@]} - 1]}"; then
        option=${words[${#words[@]} - 1]}
    elif [[ $whole == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_keepalive_options "$verb")" -- "$word")
        return
    fi

    source=$(_keepalive_source "$verb" "$option")
    case $source in
    words\ *) mapfile -t COMPREPLY < <(compgen -W "${source#words }" -- "$value") ;;
    verbs) mapfile -t COMPREPLY < <(compgen -W "$(_keepalive_verbs)" -- "$value") ;;
    program) mapfile -t COMPREPLY < <(compgen -c -- "$word") && compopt -o filenames ;;
    files) mapfile -t COMPREPLY < <(compgen -f -- "$word") && compopt -o filenames ;;
    targets | groups)
        if [[ $value == /* ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$word") && compopt -o filenames
            return
        fi
        while IFS= read -r candidate; do
            [[ $candidate == "$value"* ]] || continue
            # Bash adds only what stands behind the last of the places where it takes words apart.
            candidate=${candidate#"${value%"$word"}"}
            COMPREPLY+=("${candidate:0:${COLUMNS:-80}}")
        done < <("_keepalive_$source")
        # The command lines are to be seen, not to be put in (37 is menu completion).
        if ((${#COMPREPLY[@]} == 1 || COMP_TYPE == 37)); then
            COMPREPLY=("${COMPREPLY[@]%%  *}")
        fi
        ;;
    esac
}

complete -F _keepalive keepalive
