#!/bin/sh
# The library as its users meet it: a program outside the tree builds and runs against the installed
# shared library, against the installed archive, and with the tree as a meson subproject.
# usage: installed.sh SOURCE_ROOT BUILD_ROOT PREFIX LIBDIR
set -eu
source_root=$1 build_root=$2 prefix=$3 libdir=$4

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}

meson install -C "$build_root" --no-rebuild --destdir "$scratch/installed" >/dev/null
installed=$scratch/installed$prefix
PKG_CONFIG_PATH=$installed/$libdir/pkgconfig
export PKG_CONFIG_PATH

# Compiles the consumer as "$scratch/NAME" with the flags that pkg-config gives for OPTIONS.
# usage: consumer NAME [PKG_CONFIG_OPTIONS…]
consumer() {
    name=$1
    shift
    flags=$(pkg-config --define-variable=prefix="$installed" "$@" --cflags --libs libprocinspect)
    # shellcheck disable=SC2086 # several flags
    cc -std=c11 -D_POSIX_C_SOURCE=200809L "$source_root/tests/abi/consumer/consumer.c" \
        -o "$scratch/$name" $flags
}

needs_shared_library() {
    ldd "$1" | grep -q 'libprocinspect\.so\.0'
}

consumer shared
if pkg-config --libs libprocinspect | grep -q jansson; then
    fail "users of the shared library are made to link jansson"
fi
LD_LIBRARY_PATH=$installed/$libdir
export LD_LIBRARY_PATH
needs_shared_library "$scratch/shared" || fail "the consumer does not use the shared library"
"$scratch/shared"

# The linker prefers a shared library; without one, -lprocinspect is the archive.
rm "$installed/$libdir"/libprocinspect.so*
consumer static --static
if needs_shared_library "$scratch/static"; then
    fail "the consumer does not use the archive"
fi
"$scratch/static"

# Folders outside the prefix, as distributions with folders of their own have them.
meson setup -Dtests=disabled -Dexamples=disabled --prefix=/opt/one --libdir=/opt/two/lib \
    --includedir=/opt/three "$scratch/elsewhere" "$source_root" >/dev/null
flags=$(PKG_CONFIG_PATH=$scratch/elsewhere/pkgconfig pkg-config --cflags --libs libprocinspect)
case "$flags" in
"-I/opt/three -L/opt/two/lib "*) ;;
*) fail "with folders outside the prefix pkg-config says $flags" ;;
esac

mkdir -p "$scratch/host/subprojects"
cp "$source_root"/tests/abi/consumer/* "$scratch/host"
ln -s "$source_root" "$scratch/host/subprojects/libprocinspect"
if ! {
    meson setup --buildtype=plain --wrap-mode=nofallback \
        --force-fallback-for=libprocinspect \
        "$scratch/host/build" "$scratch/host" &&
        meson test -C "$scratch/host/build"
} >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    fail "the tree does not work as a meson subproject"
fi
