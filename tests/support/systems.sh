# Small systems to test in, for the scripts of this directory's parent: they source this file.
#
# They are made by debootstrap below KEEPALIVE_SYSTEMS (default: target/systems), once; remove the
# directory to be rid of them. Root; Debian: debootstrap.
systems=${KEEPALIVE_SYSTEMS:-$PWD/target/systems}
mkdir -p "$systems"

# debootstrap of a Debian release, under a name that appears only when it is complete.
make_tree() { # NAME RELEASE [PACKAGE,...]
    [ ! -d "$systems/$1" ] || return 0
    rm -rf "$systems/$1.part"
    debootstrap --variant=minbase ${3:+--include="$3"} "$2" "$systems/$1.part" >"$systems/$1.log"
    mv "$systems/$1.part" "$systems/$1"
}
