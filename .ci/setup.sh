# shellcheck shell=sh
# Sourced by tests/run and examples/run, which set root to the clone: installs from Debian's packages
# what the machine lacks, and builds with meson.

missing=

# usage: need PACKAGE CHECK…  PACKAGE is missing unless the command CHECK succeeds.
need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

library() {
    pkg-config --exists "$1"
}

c_headers() {
    printf '#include <stdio.h>\n#include <linux/ptrace.h>\n' | cc -E -
}

need_to_build() {
    need gcc command -v cc
    need libc6-dev c_headers
    need meson command -v meson
    need ninja-build command -v ninja
    need pkg-config command -v pkg-config
    need libjansson-dev library jansson
    need libminizip-dev library minizip
    need zlib1g-dev library zlib
}

need_for_examples() {
    need libmicrohttpd-dev library libmicrohttpd
}

need_for_tests() {
    need g++ command -v g++
    need binutils command -v nm
    need curl command -v curl
    need unzip command -v unzip
    need p7zip-full command -v 7z
    need libarchive-tools command -v bsdtar
    need gdb command -v gdb
    need lldb-19 command -v lldb-19
    need python3-lldb-19 /usr/bin/python3 -c 'import lldb'
    need libcmocka-dev library cmocka
    need libproc2-dev library libproc2
    need musl-tools command -v musl-gcc
    # Programs in these languages are dumped.
    need golang-go command -v go
    need nodejs command -v node
    need default-jre-headless command -v java
    need python3-psutil /usr/bin/python3 -c 'import psutil'
}

# Installs what the need… calls found missing; does nothing where nothing is.
install_missing() {
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
    fi
    if ! command -v apt-get >/dev/null || ! command -v ${as_root:-true} >/dev/null; then
        echo "Missing:$missing. Install these (Debian's names), or run this with apt-get and as" \
            "root or with sudo." >&2
        exit 1
    fi
    echo "Installing from Debian's packages:$missing" >&2
    # shellcheck disable=SC2086 # several packages
    $as_root apt-get -q update >&2 &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -q install -y --no-install-recommends $missing >&2
}

# Runs a command that only matters when it fails.
quietly() {
    output=$(mktemp)
    if "$@" >"$output" 2>&1; then
        rm "$output"
    else
        cat "$output" >&2
        rm "$output"
        echo "failed: $*" >&2
        exit 1
    fi
}

# usage: configure FOLDER [MESON OPTIONS…]  Makes the build folder, or gives it these options.
configure() {
    folder=$1
    shift
    if [ -e "$folder/build.ninja" ]; then
        quietly meson configure "$@" "$folder"
    else
        # shellcheck disable=SC2154 # root is the caller's
        quietly meson setup "$@" "$folder" "$root"
    fi
}
