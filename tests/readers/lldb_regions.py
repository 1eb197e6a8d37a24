#!/usr/bin/env python3
"""Does LLDB see the memory regions of a minidump's MemoryInfoList?

usage: lldb_regions.py DUMP

Where a dump has maps LLDB takes the regions from there; so it is asked twice: of the file as it is,
and of a copy without them. Either has to show every region of MemoryInfoList with its permissions,
and no other. Prints the differences and exits 1, or prints one line.
"""
import re
import struct
import subprocess
import sys
import tempfile

import minidump_file as md

UNKNOWN_STREAM = 0x12345
DIFFERENCES_SHOWN_MAX = 20
LINE = re.compile(r"^\[(0x[0-9a-f]+)-(0x[0-9a-f]+)\) ([r-][w-][x-])", re.M)
PERMISSIONS = {0x1: "---", 0x2: "r--", 0x4: "rw-", 0x10: "--x", 0x20: "r-x", 0x40: "rwx"}


def ask_lldb(data):
    """start -> (end, permissions), of what can be used or is said to be mapped"""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        result = subprocess.run(
            ["lldb-19", "--no-lldbinit", "--batch", "-c", file.name, "-o", "memory region --all"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        sys.exit(f"lldb-19: {result.stdout}{result.stderr}")
    return {
        int(start, 16): (int(end, 16), permissions)
        for start, end, permissions in LINE.findall(result.stdout)
    }


def permissions_of(region, has_maps):
    """LLDB takes what can only be executed for readable where MemoryInfoList says so."""
    permissions = PERMISSIONS[region.protect]
    return "r-x" if permissions == "--x" and not has_maps else permissions


def differences(dump, shown, has_maps):
    expected = {
        region.base: (region.base + region.size, permissions_of(region, has_maps))
        for region in dump.memory_info
    }
    for start, (end, permissions) in expected.items():
        if shown.get(start) != (end, permissions):
            yield f"region {start:#x}-{end:#x} {permissions} is {shown.get(start)}"
    for start in sorted(set(shown) - set(expected)):
        if shown[start][1] != "---":  # what lies between regions is shown so
            yield f"region {start:#x} is only in LLDB: {shown[start]}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        data = bytearray(file.read())
    dump = md.Minidump(bytes(data))
    found = list(differences(dump, ask_lldb(data), True))
    entry = dump.header.directory_rva + 12 * [item.type for item in dump.directory].index(md.MAPS)
    struct.pack_into("<I", data, entry, UNKNOWN_STREAM)
    found += [f"without maps: {text}" for text in differences(dump, ask_lldb(data), False)]
    for difference in found[:DIFFERENCES_SHOWN_MAX]:
        print(difference)
    if not found:
        print(f"lldb: {len(dump.memory_info)} regions match")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
