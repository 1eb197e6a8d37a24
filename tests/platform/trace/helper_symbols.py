"""What runs in the helper process needs no name but its own: libc's functions may wait there for
locks that stopped threads hold, and thread-local storage is another thread's.

usage: helper_symbols.py NM STATIC_LIBRARY
"""

import subprocess
import sys


def names(nm, library, option):
    lines = subprocess.run(
        [nm, option, library], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return {line.split()[-1] for line in lines if len(line.split()) >= 2}


def main():
    nm, library = sys.argv[1:]
    defined = names(nm, library, "--defined-only")
    # The linker's own; no code stands behind it.
    foreign = names(nm, library, "--undefined-only") - defined - {"_GLOBAL_OFFSET_TABLE_"}
    for name in sorted(foreign):
        print(f"{name} is not defined by what runs in the helper process")
    if not any(name.startswith("pi_helper_") for name in defined):
        sys.exit("that is not the helper's library")
    sys.exit(1 if foreign else 0)


main()
