#!/bin/sh
# Built for a system that it does not know, and without zips, the library exports the same names and
# says "unsupported".
# usage: unsupported.sh SOURCE_ROOT PYTHON NM
set -eu
source_root=$1 python=$2 nm=$3

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! {
    meson setup --buildtype=plain -Dplatform=unsupported -Dzip=disabled -Dtests=disabled \
        -Dexamples=disabled "$scratch/build" "$source_root" &&
        ninja -C "$scratch/build"
} >"$scratch/log" 2>&1; then
    cat "$scratch/log"
    exit 1
fi

library=$scratch/build/lib
"$python" "$source_root/tests/abi/exports.py" "$nm" "$library/libprocinspect.so.0" \
    "$source_root/lib/libprocinspect.map" "$source_root/include"

cc -std=c11 -D_POSIX_C_SOURCE=200809L -I "$source_root/include" \
    "$source_root/tests/abi/consumer/consumer.c" -o "$scratch/consumer" \
    -L "$library" -lprocinspect
LD_LIBRARY_PATH=$library "$scratch/consumer" >"$scratch/answer" 2>&1 || true
cat "$scratch/answer"
grep -q '^PROCINSPECT_ERROR_UNSUPPORTED: ' "$scratch/answer"

cat >"$scratch/zip.c" <<'END'
#include <procinspect.h>
int main(void) {
    procinspect_dump_stream_options options;
    procinspect_dump_stream_options_init(&options, sizeof options);
    options.format = PROCINSPECT_DUMP_FORMAT_ZIP;
    return procinspect_dump_stream_options_check(&options, 0) != PROCINSPECT_ERROR_UNSUPPORTED;
}
END
cc -std=c11 -I "$source_root/include" "$scratch/zip.c" -o "$scratch/zip" -L "$library" -lprocinspect
LD_LIBRARY_PATH=$library "$scratch/zip"
