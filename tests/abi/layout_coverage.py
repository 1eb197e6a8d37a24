"""Every member of every public struct has its assertion in layout.c.

usage: layout_coverage.py LAYOUT_C INCLUDE_ROOT
"""

import pathlib
import re
import sys

import public_headers


def main():
    layout, include_root = sys.argv[1:]
    text = pathlib.Path(layout).read_text(encoding="utf-8")
    sizes = set(re.findall(r"^SIZE\((\w+), \d+\);", text, flags=re.M))
    offsets = set(re.findall(r"^OFFSET\((\w+), (\w+), \d+\);", text, flags=re.M))

    structs = public_headers.structs(include_root)
    problems = [f"{struct} has no SIZE" for struct in sorted(structs.keys() - sizes)]
    for struct, members in structs.items():
        if not members:
            problems.append(f"{struct}: no members were recognised")
        for member in members:
            if (struct, member) not in offsets:
                problems.append(f"{struct}.{member} has no OFFSET")
    public_headers.finish(problems, len(structs))


main()
