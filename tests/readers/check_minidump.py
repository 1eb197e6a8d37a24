#!/usr/bin/env python3
"""Holds a minidump of a Linux process to the format and to what its strictest readers demand.

usage: check_minidump.py FILE

Prints a summary as JSON, with every rule of minidump_rules.py that the file breaks in `violations`.
Exit status 0: none; 1: some.
"""

import json
import sys

from minidump_file import Malformed, Minidump
from minidump_rules import violations


def in_hex(item):
    """Its numbers can have 64 bits, more than many a JSON parser takes."""
    return {name: f"{value:#x}" for name, value in item._asdict().items()}


def summary(dump):
    names = dump.thread_names
    return {
        "size_bytes": len(dump.data),
        "flags": dump.header.flags,
        "pid": dump.pid,
        "architecture": dump.architecture,
        "streams": [entry.type for entry in dump.directory],
        "threads": [
            {
                "tid": thread.tid,
                "name": dump.string(names[thread.tid]) if thread.tid in names else None,
                "pc": dump.program_counter(thread),
                "sp": dump.stack_pointer(thread),
                "stack_start": thread.stack_start,
                "stack_bytes": thread.stack_bytes,
            }
            for thread in dump.threads
        ],
        "modules": [
            {
                "base": module.base,
                "size": module.size,
                "name": dump.string(module.name_rva),
                "build_id": dump.build_id(module),
            }
            for module in dump.modules
        ],
        "handles": [
            {
                "number": handle.number,
                "type": dump.string(handle.type_rva),
                "name": dump.string(handle.name_rva) if handle.name_rva else None,
                "inherited": bool(handle.attributes),
                "access": handle.access,
            }
            for handle in dump.handles
        ],
        "memory_info": [in_hex(region) for region in dump.memory_info],
        "thread_info": [in_hex(info) for info in dump.thread_info],
        "memory": {
            "ranges": len(dump.all_memory),
            "bytes": sum(region.size for region in dump.all_memory),
        },
    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        dump = Minidump(file.read())
    found = violations(dump)
    try:
        result = summary(dump)
    except Malformed as error:
        result = {"summary": str(error)}
    json.dump({**result, "violations": found}, sys.stdout, indent=1)
    print()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
