#!/usr/bin/env bash
# Builds the packages for this machine into target/packages: a tarball, two .deb (the library, the
# command), two .rpm and their checksums.
#
#     packaging/build.sh [--library FILE ARCHITECTURE]
#
# With --library it makes only the library's packages, from a file that was built for another
# architecture (i686, aarch64, ...): on a 64-bit system those of i686 serve its 32-bit programs.
#
# Needs Debian with Rust, a C compiler and the static C library (gcc libc6-dev). Installs cargo-deb and
# cargo-generate-rpm into target/tools. Times are those of the commit, or SOURCE_DATE_EPOCH: a second
# build on the same system makes the same packages.
set -euo pipefail

fail() {
    echo "packaging/build.sh: $1" >&2
    exit 2
}

case ${1-} in
'') library='' ;;
--library)
    [ $# -eq 3 ] || fail '--library takes a FILE and its ARCHITECTURE'
    library=$(realpath -e "$2") architecture=$3
    case $architecture in
    x86_64 | i686 | aarch64) ;;
    *) fail "$architecture: no packages are made for this architecture, but for x86_64, i686 and aarch64" ;;
    esac
    ;;
-h | --help)
    sed -n '2,/^set/s/^# \?//p' "$0"
    exit
    ;;
*) fail "$1: unknown; --library FILE ARCHITECTURE is all there is" ;;
esac

cd "$(dirname "$0")/.."
umask 022

packages=$PWD/target/packages
# The files of a prefix. Every package takes its files from here.
tree=$packages/tree
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || date -r CHANGELOG.md +%s)}"
export SOURCE_DATE_EPOCH
export PATH=$PWD/target/tools/bin:$PATH
# The packages take their files from there, and no flags from outside may change what is in them.
export CARGO_TARGET_DIR=$PWD/target
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS

host=$(rustc -vV | sed -n 's/^host: //p')
if [ -n "$library" ]; then
    with_command=
else
    architecture=${host%%-*} library=target/release/libkeepalive.so with_command=yes
    rm -f "$packages"/*.{deb,rpm,tar.gz}
fi
# The Rust target that the packages are for.
target=$architecture-${host#*-}

tool() { # NAME VERSION: unoptimized, which compiles in a third of the time
    [ "$(cargo "${1#cargo-}" --version 2>/dev/null | grep -o '[0-9][0-9.]*')" = "$2" ] ||
        cargo install --quiet --locked --debug --root target/tools "$1@$2"
}

# Every dependency that is linked into the command, with the text of its licence.
third_party() {
    echo "The command keepalive is linked statically and contains:"
    echo
    echo "The GNU C Library, LGPL-2.1-or-later, https://www.gnu.org/software/libc/"
    echo "(packaging/build.sh of the source of libkeepalive links the command anew with another one)"
    echo
    cat /usr/share/common-licenses/LGPL-2.1
    printf '\n%s\n%s\n\n' "----------------------------------------" "The Rust standard library, MIT OR Apache-2.0"
    cat "$(rustc --print sysroot)/share/doc/rust/licenses/MIT.txt"
    cargo tree --package libkeepalive-command --edges normal,no-proc-macro --target "$target" --prefix none \
        --no-dedupe --format '{p}|{l}' | grep -v '(/' | sort -u | while IFS='|' read -r crate licence; do
        printf '\n%s\n%s, %s\n\n' "----------------------------------------" "$crate" "$licence"
        local source
        source=$(echo "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"${crate/ v/-}")
        # Where there is a choice, the short one.
        local licences=("$source"/*MIT*)
        [ -e "${licences[0]}" ] || mapfile -t licences < <(
            find "$source" -maxdepth 1 -type f -iregex '.*/\(licen[cs]e\|copying\|notice\).*')
        [ ${#licences[@]} -gt 0 ] || fail "$crate: no licence found in $source"
        cat "${licences[@]}"
    done
}

copy() { # MODE FILE... DIRECTORY
    install -D --mode="$1" --target-directory="$tree/${!#}" "${@:2:$#-2}"
}

rm -rf "$tree"
mkdir -p "$packages"
if [ -n "$with_command" ]; then
    cargo build --quiet --locked --release --lib
    # Linked statically, so that one file runs on every C library (and ignores an LD_PRELOAD in its
    # own environment). With a target of its own, since build scripts and macros cannot be linked
    # statically.
    flags=(-C target-feature=+crt-static
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" "--remap-path-prefix=$PWD=/libkeepalive")
    # This form takes paths with blanks in them.
    CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}") \
        cargo build --quiet --locked --release --package libkeepalive-command --bins --target "$target"
    copy 755 "target/$target/release/keepalive" bin
    ! readelf --program-headers "$tree/bin/keepalive" | grep -q INTERP || fail 'the command is not linked statically'

    manuals=$packages/manuals
    rm -rf "$manuals"
    cargo run --quiet --locked --package libkeepalive-command --example generate_manuals "$manuals"
    gzip -9n "$manuals"/*.1
    copy 644 "$manuals"/*.1.gz share/man/man1
    copy 644 "$manuals/keepalive.bash" share/bash-completion/completions
    mv "$tree"/share/bash-completion/completions/keepalive{.bash,}
    copy 644 "$manuals/_keepalive" share/zsh/site-functions
    copy 644 "$manuals/keepalive.fish" share/fish/vendor_completions.d
    copy 644 packaging/systemd/* lib/systemd/system
    third_party >"$packages/THIRD-PARTY"
    copy 644 "$packages/THIRD-PARTY" docs/command.md docs/show.schema.json share/doc/keepalive
fi
# The file has the name of the SONAME, a link has the other name: the other way round ldconfig(8) would
# keep only the SONAME in the loader's cache, and people write libkeepalive.so.
install -D --mode=644 "$library" "$tree/lib/libkeepalive.so.0"
ln -s libkeepalive.so.0 "$tree/lib/libkeepalive.so"
copy 644 man/libkeepalive.8 share/man/man8
gzip -9n "$tree/share/man/man8/libkeepalive.8"
copy 644 README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE-* share/doc/libkeepalive
copy 644 docs/*.md docs/*.svg docs/*.json share/doc/libkeepalive/docs
copy 644 docs/recipes/* share/doc/libkeepalive/docs/recipes
find examples -type f ! -name '*.rs' -print0 |
    while IFS= read -rd '' file; do copy 644 "$file" "share/doc/libkeepalive/$(dirname "$file")"; done

# What only Debian has.
debian=$packages/debian
rm -rf "$debian"
for package in libkeepalive keepalive; do
    install -D --mode=644 "packaging/debian/$package.lintian-overrides" \
        "$debian/$package/share/lintian/overrides/$package"
    cat >"$packages/$package.changelog" <<CHANGES
$package ($version-1) unstable; urgency=medium

  * Version $version. CHANGELOG.md of the source says what is new.

 -- $(sed -n 's/^authors = \["\(.*\)"\]/\1/p' Cargo.toml)  $(date -Rud "@$SOURCE_DATE_EPOCH")
CHANGES
done
# The names of libkeepalive0's files. Packages of several architectures can be installed together, but
# only one of them can have these.
case $architecture in
x86_64)
    mkdir "$debian/libkeepalive/lib"
    for name in libkeepalive.so libkeepalive.so.0; do
        ln -s "$architecture-linux-gnu/$name" "$debian/libkeepalive/lib/$name"
    done
    ;;
esac

members=(libkeepalive)
[ -z "$with_command" ] || members+=(libkeepalive-command)
variant=()
[ "$architecture" != i686 ] || variant=(--variant i686)
tool cargo-deb 3.8.0
tool cargo-generate-rpm 0.21.1
for member in "${members[@]}"; do
    case $member in
    libkeepalive) multiarch=same directory=. ;;
    *) multiarch=none directory=crates/command ;;
    esac
    cargo deb --quiet --package "$member" --no-build --no-strip --target "$target" \
        --multiarch "$multiarch" --output "$packages/"
    cargo generate-rpm --package "$directory" --target "$target" --payload-compress gzip \
        --output "$packages/" "${variant[@]}"
done
if [ -n "$with_command" ]; then
    install --mode=755 packaging/install.sh "$tree"
    name=libkeepalive-$version-$architecture-linux
    tar --create --gzip --file "$packages/$name.tar.gz" --directory "$packages" --sort=name \
        --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --transform "s,^tree,$name,S" tree
fi
cd "$packages"
sha256sum -- *.tar.gz *.deb *.rpm >SHA256SUMS
ls -l -- *.tar.gz *.deb *.rpm
