# shellcheck shell=bash
# Scripts source this file and run commands as the documents show them; the suite tests/documents
# sees that every command of a block marked so is taken.

documented() { # DOCUMENT BEGINNING: its commands that begin so, without sudo and comments
    local commands
    commands=$(awk -v beginning="$2" '
        /^ *```/ { inside = $0 ~ /^ *```(sh|console)$/ && !inside; console = /console/; next }
        !inside { next }
        console && !more && !sub(/^\$ /, "") { next }
        { sub(/^sudo /, ""); sub(/ +# .*/, "") }
        more { print; more = /(\\|&&)$/; next }
        index($0, beginning) == 1 { print; more = /(\\|&&)$/ }
    ' "$1")
    [ -n "$commands" ] || { echo "$1 has no command \"$2\"" >&2; return 1; }
    echo "$commands"
}
