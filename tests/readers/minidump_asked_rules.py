"""The rules for the streams that a dump has where a bit of its header's flags asks for them: full
memory, open descriptors, mappings, times of threads. See minidump_rules.py, which holds a dump to
them, too.
"""

import minidump_file as md

STREAM_OF_FLAG = {
    0x2: md.MEMORY64_LIST,
    0x4: md.HANDLE_DATA,
    0x800: md.MEMORY_INFO,
    0x1000: md.THREAD_INFO,
}
HANDLE_INHERIT = 0x2
HANDLE_READ, HANDLE_WRITE, HANDLE_APPEND = 0x1, 0x2, 0x4
PROTECTIONS = {0x1, 0x2, 0x4, 0x10, 0x20, 0x40}
MEM_COMMIT = 0x1000
MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE = 0x20000, 0x40000, 0x1000000
PAGE_BYTES = 4096
ERROR_THREAD, WRITING_THREAD, INVALID_INFO = 0x1, 0x2, 0x8
STILL_ACTIVE = 259
FILETIME_OF_1970, FILETIME_SECOND = 116444736000000000, 10_000_000

RULES = []


def rule(function):
    RULES.append(function)
    return function


@rule
def streams_of_flags(dump):
    """The flags are the effective ones: each stream is there if and only if its bit is set."""
    for flag, stream_type in STREAM_OF_FLAG.items():
        if bool(dump.header.flags & flag) != (dump.entry(stream_type) is not None):
            yield f"flags {dump.header.flags:#x}, and stream {stream_type:#x} is" + (
                " not there" if dump.header.flags & flag else " there"
            )


def head_of(dump, stream_type, layout):
    entry = dump.entry(stream_type)
    return None if entry is None else dump.unpack(layout, entry.rva, f"stream {stream_type:#x}")


@rule
def handle_data(dump):
    if head_of(dump, md.HANDLE_DATA, "IIII") not in (None, (16, 32, len(dump.handles), 0)):
        yield f"head {head_of(dump, md.HANDLE_DATA, 'IIII')}"
    numbers = [handle.number for handle in dump.handles]
    if numbers != sorted(set(numbers)):
        yield "the handles do not ascend"
    for handle in dump.handles:
        if handle.type_rva == 0 or not dump.string(handle.type_rva):
            yield f"handle {handle.number} has no type"
        if handle.name_rva != 0 and not dump.string(handle.name_rva):
            yield f"handle {handle.number} has an empty name"
        if handle.attributes & ~HANDLE_INHERIT or handle.counts != 0:
            yield f"handle {handle.number} has attributes {handle.attributes:#x}"
        if handle.access & ~(HANDLE_READ | HANDLE_WRITE | HANDLE_APPEND) or (
            handle.access & HANDLE_WRITE and handle.access & HANDLE_APPEND
        ):
            yield f"handle {handle.number} has access {handle.access:#x}"


@rule
def memory_info(dump):
    """Where a reader has maps, too, both have to say the same."""
    if dump.entry(md.MEMORY_INFO) is None:
        return
    if head_of(dump, md.MEMORY_INFO, "IIQ") != (16, 48, len(dump.memory_info)):
        yield f"head {head_of(dump, md.MEMORY_INFO, 'IIQ')}"
    if [(region.base, region.base + region.size) for region in dump.memory_info] != dump.mappings:
        yield f"its {len(dump.memory_info)} regions are not the {len(dump.mappings)} of maps"
    end = 0
    for region in dump.memory_info:
        if region.base < end or region.size == 0 or (region.base | region.size) % PAGE_BYTES:
            yield f"region {region.base:#x} of {region.size} bytes after {end:#x}"
        end = region.base + region.size
        if region.state != MEM_COMMIT or region.padding1 or region.padding2:
            yield f"region {region.base:#x} has state {region.state:#x}"
        if {region.protect, region.allocation_protect} - PROTECTIONS:
            yield f"region {region.base:#x} has protection {region.protect:#x}"
        if region.type not in (MEM_PRIVATE, MEM_MAPPED, MEM_IMAGE):
            yield f"region {region.base:#x} has type {region.type:#x}"


@rule
def memory_info_of_modules(dump):
    if dump.entry(md.MEMORY_INFO) is None:
        return
    ends = {module.base: module.base + module.size for module in dump.modules}
    for region in dump.memory_info:
        if region.type != MEM_IMAGE:
            if region.allocation_base != region.base:
                yield f"region {region.base:#x} belongs to {region.allocation_base:#x}"
            if region.base in ends:
                yield f"module {region.base:#x} is no image"
        elif not region.allocation_base <= region.base < ends.get(region.allocation_base, 0):
            yield f"region {region.base:#x} belongs to {region.allocation_base:#x}, no module"


@rule
def thread_info(dump):
    if dump.entry(md.THREAD_INFO) is None:
        return
    if head_of(dump, md.THREAD_INFO, "III") != (12, 64, len(dump.thread_info)):
        yield f"head {head_of(dump, md.THREAD_INFO, 'III')}"
    tids, listed = [info.tid for info in dump.thread_info], {item.tid for item in dump.threads}
    if len(set(tids)) != len(tids) or listed - set(tids):
        yield f"has threads {tids}, and ThreadList {sorted(listed)}"
    latest = (dump.header.time + 2) * FILETIME_SECOND + FILETIME_OF_1970
    for info in dump.thread_info:
        if bool(info.flags & ERROR_THREAD) != (info.tid not in listed) or info.flags & ~(
            ERROR_THREAD | WRITING_THREAD | INVALID_INFO
        ):
            yield f"thread {info.tid} has flags {info.flags:#x}"
        if bool(info.error) != bool(info.flags & ERROR_THREAD):
            yield f"thread {info.tid} has error {info.error:#x}"
        if info.flags & INVALID_INFO:
            if info.created or info.kernel_time or info.user_time:
                yield f"thread {info.tid} has times that are not known"
        elif not FILETIME_OF_1970 <= info.created <= latest:
            yield f"thread {info.tid} was created at {info.created}"
        if info.exited or info.start_address or info.exit_status != STILL_ACTIVE:
            yield f"thread {info.tid} has ended, or a start address"
