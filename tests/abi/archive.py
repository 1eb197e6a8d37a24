"""No global name leaves the static library without our prefix: it would meet the host's own names.

usage: archive.py NM STATIC_LIBRARY
"""

import subprocess
import sys

import public_headers


def main():
    nm, library = sys.argv[1:]
    lines = subprocess.run(
        [nm, "-g", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    names = {fields[2] for fields in map(str.split, lines) if len(fields) == 3}
    problems = [
        f"{name} is global and begins neither with procinspect_ nor with pi_"
        for name in sorted(names)
        if not name.startswith(("procinspect_", "pi_"))
    ]
    public_headers.finish(problems, len(names))


main()
