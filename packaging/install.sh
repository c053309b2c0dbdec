#!/bin/sh
# Installs libkeepalive and the command keepalive from this directory, or removes them again.
#
#     ./install.sh [--uninstall]
#
# PREFIX (default /usr/local) is where to, LIBDIR (default PREFIX/lib) where the library goes, and
# DESTDIR, for those who make packages, stands in front of both.
set -eu
umask 022
cd "$(dirname "$0")"
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
root=${DESTDIR:-}

case ${1-} in
'') action=install ;;
--uninstall) action=uninstall ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

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
    mkdir -p "$(dirname "$to")"
    # Written beside it and renamed: programs may have the old one mapped.
    cp -P "$file" "$to.new"
    mv "$to.new" "$to"
done

if [ "$action" = uninstall ]; then
    # Directories that held nothing else, the deepest first; a system's own stay.
    find bin lib share -depth -type d | while IFS= read -r directory; do
        case $prefix:$directory in
        /usr:* | /usr/local:bin | /usr/local:lib | /usr/local:share | /usr/local:share/man)
            case $directory in share/doc/*) ;; *) continue ;; esac
            ;;
        esac
        rmdir "$(place "$directory")" 2>/dev/null || true
    done
    case $prefix in /usr | /usr/local) ;; *) rmdir "$root$prefix" 2>/dev/null || true ;; esac
fi
# So that LD_PRELOAD=libkeepalive.so is found without a path, where the loader looks in this
# directory at all. (musl has no ldconfig and needs none.)
if [ -z "$root" ] && command -v ldconfig >/dev/null; then
    ldconfig || true
fi
[ "$action" = uninstall ] || echo "LD_PRELOAD=$libdir/libkeepalive.so KEEPIDLE=180 KEEPINTVL=60 KEEPCNT=20 some-program"
