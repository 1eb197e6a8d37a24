"""Holds the layers of lib/: who may include what, that no system's #ifdef stands outside of
lib/platform, and that no file outgrows its idea.

usage: layers.py LIB_ROOT
"""

import pathlib
import re
import sys

import public_headers

MAX_LINES = 400

# The layers that each layer may include besides itself and the public headers.
LAYERS = {
    "base": set(),
    "model": {"base"},
    "platform": {"base", "model"},
    "dump": {"base", "model"},
    "zip": {"base"},
    "api": {"base", "model", "platform", "dump", "zip"},
    "json": {"base"},
    "http": {"base"},
}

# Public headers of a layer: it, and those above it, may include them. The one of all headers is for
# hosts.
PUBLIC = {
    "procinspect/json.h": {"json", "http"},
    "procinspect/http.h": {"http"},
    "procinspect.h": set(),
}
# A dump carries its own report as JSON, and a zip its manifest.
PUBLIC_EXCEPTIONS = {
    ("api/dump.c", "procinspect/json.h"),
    ("api/stream_zip.c", "procinspect/json.h"),
}

# Other libraries, each the business of one layer.
LIBRARIES = {
    "json": re.compile(r"jansson(_\w+)?\.h"),
    "zip": re.compile(r"zlib\.h|(minizip/)?(zip|unzip|ioapi|mz\w*)\.h"),
}

# What C11 and POSIX have, and the ELF format. Everything else a system has is for lib/platform.
PORTABLE = {
    f"{name}.h"
    for name in """
    assert ctype errno float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar
    dirent elf fcntl fnmatch grp poll pthread pwd sched strings unistd
    sys/mman sys/select sys/socket sys/stat sys/time sys/types sys/uio sys/un sys/wait
    """.split()
}

SYSTEMS = re.compile(
    r"^\s*#\s*(?:if|ifdef|ifndef|elif)\b.*\b("
    r"linux|__linux|__linux__|__gnu_linux__|__ANDROID__|__APPLE__|__MACH__|_WIN32|_WIN64|"
    r"__CYGWIN__|__FreeBSD__|__NetBSD__|__OpenBSD__|__DragonFly__|__sun|__unix__|unix)\b"
)
INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^>\"]+)[>\"]")


def include_problem(lib, path, quote, name):
    """What is wrong with `path` (relative to lib) including `name`, or None."""
    layer = path.parts[0]
    if name in PUBLIC and layer not in PUBLIC[name]:
        allowed = (path.as_posix(), name) in PUBLIC_EXCEPTIONS
        return None if allowed else f"<{name}> is above {layer}"
    if name in PUBLIC or name.startswith("procinspect/"):
        return None
    if quote == '"':
        target = pathlib.PurePath(name).parts[0]
        if target not in LAYERS or not (lib / name).is_file():
            return f'"{name}" is no file of lib; paths start at lib/'
        if target != layer and target not in LAYERS[layer]:
            return f'{layer} may not include "{name}"'
        folder = pathlib.PurePath(name).parts[:2]
        if target == "platform" and len(pathlib.PurePath(name).parts) > 2:
            if path.parts[:2] != folder:
                return f'"{name}" is private to {"/".join(folder)}'
        return None
    for owner, pattern in LIBRARIES.items():
        if pattern.fullmatch(name):
            return None if layer == owner else f"<{name}> is for {owner} only"
    if layer != "platform" and name not in PORTABLE:
        return f"<{name}> is neither C11 nor POSIX; only platform may use it"
    return None


def problems_of(lib, path):
    lines = (lib / path).read_text(encoding="utf-8").splitlines()
    if len(lines) > MAX_LINES:
        yield f"{path}: {len(lines)} lines, more than {MAX_LINES}"
    if path.parts[0] not in LAYERS or len(path.parts) < 2:
        yield f"{path}: in no layer"
        return
    for number, line in enumerate(lines, 1):
        include = INCLUDE.match(line)
        problem = include and include_problem(lib, path, *include.groups())
        if problem:
            yield f"{path}:{number}: {problem}"
        system = SYSTEMS.match(line)
        if system and path.parts[0] != "platform":
            yield f"{path}:{number}: {system.group(1)} is asked about outside of platform"


def main():
    lib = pathlib.Path(sys.argv[1])
    files = sorted(path.relative_to(lib) for path in lib.rglob("*") if path.suffix in {".c", ".h"})
    problems = [problem for path in files for problem in problems_of(lib, path)]
    public_headers.finish(problems, len(files))


main()
