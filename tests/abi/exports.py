"""The names that the shared library exports, those of the version script and the functions that the
public headers declare are the same.

usage: exports.py NM SHARED_LIBRARY VERSION_SCRIPT INCLUDE_ROOT
"""

import pathlib
import re
import subprocess
import sys

import public_headers


def exported(nm, library):
    """Exported name to its version node."""
    lines = subprocess.run(
        [nm, "-D", "--defined-only", "--with-symbol-versions", library],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    symbols = {}
    for line in lines:
        name, _, node = line.split()[-1].partition("@")
        if line.split()[-2] != "A":  # the nodes themselves
            symbols[name] = node.lstrip("@")
    return symbols


def scripted(version_script):
    """Name to node, as the version script says; a pattern among the global names is a problem."""
    text = pathlib.Path(version_script).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/|#[^\n]*", " ", text, flags=re.S)
    names, problems = {}, []
    for node, body in re.findall(r"(\w[\w.]*)\s*\{([^}]*)\}", text):
        public, _, local = body.partition("local:")
        if local.split() != ["*;"]:
            problems.append(f"{node}: its local part is not just '*'")
        for name in public.replace("global:", " ").replace(";", " ").split():
            if not re.fullmatch(r"procinspect_[a-z0-9_]+", name):
                problems.append(f"{node}: {name} is no plain procinspect_ name")
            if name in names:
                problems.append(f"{name} is listed twice")
            names[name] = node
    return names, problems


def main():
    nm, library, version_script, include_root = sys.argv[1:]
    in_library = exported(nm, library)
    in_script, problems = scripted(version_script)
    in_headers = public_headers.functions(include_root)

    for name in sorted(public_headers.unmarked_functions(include_root)):
        problems.append(f"{name} is declared without PROCINSPECT_API")
    for name in sorted(in_library.keys() | in_script.keys() | in_headers):
        places = {
            "exported by the library": name in in_library,
            "listed in the version script": name in in_script,
            "declared in the public headers": name in in_headers,
        }
        if not all(places.values()):
            is_not = " and ".join(place for place, there in places.items() if not there)
            problems.append(f"{name} is not {is_not}")
        elif in_library[name] != in_script[name]:
            problems.append(f"{name} is exported as {in_library[name]}, not {in_script[name]}")
    public_headers.finish(problems, len(in_library))


main()
