#!/bin/sh
# Installs libkeepalive and the command keepalive from this directory, or removes them again.
#
#     ./install.sh [--uninstall]
#
# Installs below PREFIX (default /usr/local), the library into LIBDIR (default PREFIX/lib). DESTDIR, for
# those who make packages, stands in front of both.
set -eu
umask 022
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
cd "$(dirname "$0")"

# Where a file of this directory belongs.
place() {
    case $1 in
    lib) echo "$root$libdir" ;;
    lib/*) echo "$root$libdir/${1#lib/}" ;;
    *) echo "$root$prefix/$1" ;;
    esac
}

find bin lib share ! -type d | while IFS= read -r file; do
    to=$(place "$file")
    if [ "$action" = uninstall ]; then
        rm -f "$to"
        continue
    fi
    [ ! -d "$to" ] || fail "$to is a directory"
    mkdir -p "$(dirname "$to")"
    # Write it beside the old file and rename it: programs may have the old one mapped.
    cp -P "$file" "$to.new"
    # The unpacked files may be readable by their owner only.
    case $file in
    bin/*) chmod 755 "$to.new" ;;
    *) [ -L "$to.new" ] || chmod 644 "$to.new" ;;
    esac
    mv "$to.new" "$to"
done

if [ "$action" = uninstall ]; then
    # Directories that held nothing else, the deepest first; those of the system stay.
    find bin lib share -depth -type d | while IFS= read -r directory; do
        case $prefix:$directory in
        */share/doc/* | *:share/doc/*) ;;
        /usr:* | /usr/local:bin | /usr/local:lib | /usr/local:share | /usr/local:share/man) continue ;;
        esac
        rmdir "$(place "$directory")" 2>/dev/null || true
    done
    case $prefix in /usr | /usr/local) ;; *) rmdir "$root$prefix" 2>/dev/null || true ;; esac
fi
# The loader then finds LD_PRELOAD=libkeepalive.so without a path, if it looks in this directory at
# all. (musl has no ldconfig and needs none.)
if [ -z "$root" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then
    ldconfig || true
fi
[ "$action" = uninstall ] || echo "LD_PRELOAD=$libdir/libkeepalive.so KEEPIDLE=180 KEEPINTVL=60 KEEPCNT=20 some-program"
