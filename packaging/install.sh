#!/bin/sh
# Installs libkeepalive and the command keepalive from this directory, or removes them again.
#
#     ./install.sh [--uninstall]
#
# Installs below PREFIX (default /usr/local), the library into LIBDIR (default PREFIX/lib). DESTDIR, for
# those who make packages, stands in front of both. Removes only what it has installed.
set -eu
umask 022
unset CDPATH
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
root=${DESTDIR:-}

fail() {
    echo "install.sh: $1" >&2
    exit 2
}

case ${1-} in
'') action=install ;;
--uninstall) action=uninstall ;;
-h | --help)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit
    ;;
*) fail "$1: unknown; the only argument is --uninstall" ;;
esac
for directory in "$prefix" "$libdir" "${root:-/}"; do
    case $directory in
    /*) ;;
    *) fail "$directory: PREFIX, LIBDIR and DESTDIR are paths that begin with /" ;;
    esac
done
# ld.so(8) takes these for separators in LD_PRELOAD, or for the beginning of $ORIGIN and the like.
case $prefix$libdir in
*[[:space:]:\$]*) fail "$libdir: LD_PRELOAD cannot name a path with a blank, a colon or a dollar sign in it" ;;
esac
cd -- "$(dirname -- "$0")"

# Where a file of this directory belongs.
place() {
    case $1 in
    lib/systemd | lib/systemd/*) echo "$root$prefix/$1" ;;
    lib) echo "$root$libdir" ;;
    lib/*) echo "$root$libdir/${1#lib/}" ;;
    *) echo "$root$prefix/$1" ;;
    esac
}

# What tells a file from others: the text of a link, or the checksum of what is in it.
identity() {
    if [ -L "$1" ]; then
        echo "link $(readlink "$1")"
    else
        cksum <"$1"
    fi
}

# What was installed, so that another release's --uninstall knows it too.
list=$root$prefix/share/doc/libkeepalive/installed

installed() { # FILE PLACE: whether what is there came from here
    [ -L "$2" ] || [ -f "$2" ] || return 1
    [ "$(identity "$1")" = "$(identity "$2")" ] ||
        grep -Fqx "$1 $(identity "$2")" "$list" 2>/dev/null
}

files=$(find bin lib share ! -type d)
if [ "$action" = install ]; then
    for file in $files; do
        [ ! -d "$(place "$file")" ] || fail "$(place "$file") is a directory"
    done
    for file in $files; do
        to=$(place "$file")
        directory=$(dirname "$to")
        mkdir -p "$directory"
        # Renamed into place: programs may have the old file mapped. From a directory of our own:
        # others may write to the directory, and any name in it may be a link of theirs.
        new=$(mktemp -d "$directory/.install.XXXXXX")
        cp -P "$file" "$new/file"
        # The unpacked files may be readable by their owner only.
        case $file in
        bin/*) chmod 755 "$new/file" ;;
        *) [ -L "$new/file" ] || chmod 644 "$new/file" ;;
        esac
        mv -fT "$new/file" "$to"
        rmdir "$new"
    done
    new=$(mktemp -d "$(dirname "$list").XXXXXX")
    for file in $files; do echo "$file $(identity "$file")"; done >"$new/installed"
    mv -fT "$new/installed" "$list"
    rmdir "$new"
else
    for file in $files; do
        to=$(place "$file")
        if installed "$file" "$to"; then
            rm -f "$to"
        elif [ -L "$to" ] || [ -e "$to" ]; then
            echo "install.sh: $to stays: it is not what was installed" >&2
        fi
    done
    rm -f "$list"
    # Directories that held nothing else, the deepest first; those of the system stay.
    find bin lib share -depth -type d | while IFS= read -r directory; do
        case $prefix:$directory in
        */share/doc/* | *:share/doc/*) ;;
        /usr:* | /usr/local:bin | /usr/local:lib | /usr/local:share | /usr/local:share/man) continue ;;
        esac
        rmdir "$(place "$directory")" 2>/dev/null || true
    done
    case $prefix in /usr | /usr/local) ;; *) rmdir "$root$prefix/lib" "$root$prefix" 2>/dev/null || true ;; esac
fi
# The loader then finds LD_PRELOAD=libkeepalive.so without a path, if it looks in this directory at
# all. (musl has no ldconfig and needs none.)
if [ -z "$root" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then
    ldconfig || true
fi
if [ "$action" = install ]; then
    cat <<END
Installed: the library $libdir/libkeepalive.so, the command $prefix/bin/keepalive,
manual pages, completions and examples below $prefix/share, a unit of systemd's. Try:
  $prefix/bin/keepalive run --dead-after 2m some-program
  LD_PRELOAD=$libdir/libkeepalive.so KEEPIDLE=180 KEEPINTVL=60 KEEPCNT=20 some-program
  $prefix/bin/keepalive show
Remove it all with: install.sh --uninstall
END
else
    echo "Removed from $prefix."
fi
