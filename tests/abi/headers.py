"""Every public header compiles alone, as C11 and as C++11, pedantic, with warnings as errors;
<procinspect.h> gives them all, and all are installed.

usage: headers.py INCLUDE_ROOT INSTALLED_HEADER…
"""

import pathlib
import shutil
import subprocess
import sys

import public_headers

# gcc has to be there; the others are asked where they are (-Dtests=enabled takes one for C++).
COMPILERS = [
    ("gcc", "c", "c11", True),
    ("g++", "c++", "c++11", False),
    ("clang", "c", "c11", False),
    ("clang++", "c++", "c++11", False),
]
WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wundef", "-Werror"]


def compile_alone(compiler, language, standard, include_root, header):
    command = [compiler, "-x", language, f"-std={standard}", "-fsyntax-only", *WARNINGS]
    # Twice, so that a missing include guard shows.
    source = f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n"
    if language == "c++":
        source = source.replace("(void)", "()")
    return subprocess.run(
        [*command, "-I", include_root, "-"], input=source, capture_output=True, text=True
    )


def included_by_umbrella(include_root):
    """What <procinspect.h> includes, itself among it, directly or not."""
    umbrella = pathlib.Path(include_root) / "procinspect.h"
    rule = subprocess.run(
        ["gcc", "-MM", "-I", include_root, str(umbrella)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = rule.partition(":")[2].replace("\\\n", " ").split()
    return {str(pathlib.Path(file).relative_to(include_root)) for file in files}


def main():
    include_root, *installed = sys.argv[1:]
    headers = [str(path.relative_to(include_root)) for path in public_headers.paths(include_root)]
    problems = []

    for compiler, language, standard, required in COMPILERS:
        if not shutil.which(compiler):
            if required:
                problems.append(f"{compiler} is not installed")
            continue
        for header in headers:
            result = compile_alone(compiler, language, standard, include_root, header)
            if result.returncode:
                problems.append(f"{header} with {compiler} as {standard}:\n{result.stderr}")

    given = included_by_umbrella(include_root)
    for header in headers:
        if header not in given:
            problems.append(f"procinspect.h does not include {header}")
        if header not in installed:
            problems.append(f"include/meson.build does not install {header}")
    public_headers.finish(problems, len(headers))


main()
