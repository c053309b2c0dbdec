# Completion of keepalive(1) for fish. The options come from the command's own definitions.

function __keepalive_needs_verb
    test (count (commandline -opc)) -eq 1
end

function __keepalive_verb -a verb
    set -l words (commandline -opc)
    test "$words[2]" = $verb
end

# VERB OPTION...: whether it is this verb, and PROGRAM is still to come. OPTION are those that take
# the next word.
function __keepalive_before_program -a verb
    __keepalive_verb $verb; or return
    set -l words (commandline -opc)
    set -e words[1..2]
    while string match -q -- '-?*' $words[1]
        test $words[1] = --; and return 1
        contains -- $words[1] $argv[2..]; and set -e words[1]
        set -e words[1]
    end
    not set -q words[1]
end

# Processes by name and by number, with their command lines. The kernel's threads are the children
# of number 2.
function __keepalive_targets
    ps --ppid 2 -p 2 --deselect -o comm= 2>/dev/null | sort -u
    __keepalive_groups
    ps --ppid 2 -p 2 --deselect -o pid=,args= 2>/dev/null | string replace -r '^ *(\d+) ' '$1\t'
end

# Units, and containers by the scope that they are: directories of the cgroup v2 tree.
function __keepalive_groups
    find /sys/fs/cgroup -type d \( -name '*.service' -o -name '*.scope' -o -name '*.slice' \) 2>/dev/null |
        string replace -r '.*/' '' | sort -u
end

complete -c keepalive -f
complete -c keepalive -n __keepalive_needs_verb -s h -l help -d 'Print help'
complete -c keepalive -n __keepalive_needs_verb -s V -l version -d 'Print version'
# DEFINITIONS
