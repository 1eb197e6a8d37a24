"""The rules that a minidump of a Linux process is held to: those of the format, and what the
strictest of its readers (LLDB, Breakpad's processor, rust-minidump) demand.

A rule is a generator of texts that say where the dump breaks it, none for a good dump; its
docstring says what a reader would do otherwise.
"""

import json
import struct

import minidump_asked_rules
import minidump_file as md
import minidump_memory_rules
import minidump_module_rules
from minidump_file import Malformed

BREAKPAD_THREADS_MAX = BREAKPAD_REGIONS_MAX = 4096
BREAKPAD_MODULES_MAX = 2048
PADDING_BYTES_MAX = 15
LLDB_PROCESS_SAVE_STREAM = 0x4C4C4442
MINIDUMP_TYPE_ALL = 0x1FFFFFF
SYSTEM_INFO_BYTES, MISC_INFO_BYTES = 56, (24, 44, 232, 832, 1364)
PLATFORM_LINUX = 0x8201

# stream -> (bytes before the items, bytes of an item, layout of the count and where it is)
LISTS = {
    md.THREAD_LIST: (4, (48,), "I", 0),
    md.MODULE_LIST: (4, (108,), "I", 0),
    md.MEMORY_LIST: (4, (16,), "I", 0),
    md.THREAD_NAMES: (4, (12,), "I", 0),
    md.MEMORY64_LIST: (16, (16,), "Q", 0),
    md.HANDLE_DATA: (16, (32, 40), "I", 8),
    md.UNLOADED_MODULES: (12, (24,), "I", 8),
    md.MEMORY_INFO: (16, (48,), "Q", 8),
    md.THREAD_INFO: (12, (64,), "I", 8),
}
FIXED_SIZES = {
    md.SYSTEM_INFO: (SYSTEM_INFO_BYTES,),
    md.MISC_INFO: MISC_INFO_BYTES,
    md.EXCEPTION: (168,),
    md.VM_COUNTERS: (80,),
}
REQUIRED = {
    md.THREAD_LIST: "ThreadList",
    md.MODULE_LIST: "ModuleList",
    md.MEMORY_LIST: "MemoryList",
    md.SYSTEM_INFO: "SystemInfo",
    md.MISC_INFO: "MiscInfo",
    md.THREAD_NAMES: "ThreadNames",
    md.STATUS: "status",
    md.AUXV: "auxv",
    md.MAPS: "maps",
    md.REPORT: "report",
    md.SOFT_ERRORS: "soft errors",
}

RULES = [
    *minidump_memory_rules.RULES,
    *minidump_module_rules.RULES,
    *minidump_asked_rules.RULES,
]


def rule(function):
    RULES.append(function)
    return function


@rule
def header(dump):
    found = dump.header
    if found.signature != md.SIGNATURE:
        yield f"signature {found.signature:#x}"
    if found.version & 0xFFFF != md.VERSION:
        yield f"version {found.version & 0xffff:#x}"
    if found.checksum != 0:
        yield f"checksum {found.checksum:#x}: nobody computes one"
    if found.time == 0:
        yield "no time"
    if found.flags & ~MINIDUMP_TYPE_ALL:
        yield f"flags {found.flags:#x}"


@rule
def directory(dump):
    """LLDB refuses a file with the same stream twice, and takes 0x4C4C4442 for its own."""
    seen = set()
    for entry in dump.directory:
        if entry.type in seen:
            yield f"stream {entry.type:#x} is there twice"
        seen.add(entry.type)
        if entry.type in (0, LLDB_PROCESS_SAVE_STREAM):
            yield f"stream {entry.type:#x} must not be there"


@rule
def required_streams(dump):
    for stream_type, name in REQUIRED.items():
        if dump.entry(stream_type) is None:
            yield f"no {name} ({stream_type:#x})"


@rule
def bounds(dump):
    for piece in dump.pieces:
        if piece.rva + piece.size > len(dump.data):
            yield f"{piece.what} at {piece.rva:#x} ends beyond the file, {piece.size} bytes on"


@rule
def list_sizes(dump):
    """With padding anywhere LLDB reads every tid as 0; rust-minidump wants exact sizes."""
    for stream_type, (head, item_sizes, layout, count_at) in LISTS.items():
        data = dump.stream(stream_type)
        if data is None:
            continue
        if len(data) < head:
            yield f"stream {stream_type:#x} has {len(data)} bytes"
            continue
        (count,) = struct.unpack_from("<" + layout, data, count_at)
        if len(data) not in [head + count * size for size in item_sizes]:
            yield f"stream {stream_type:#x} has {len(data)} bytes for {count} items"


@rule
def fixed_sizes(dump):
    for stream_type, sizes in FIXED_SIZES.items():
        data = dump.stream(stream_type)
        if data is not None and len(data) not in sizes:
            yield f"stream {stream_type:#x} has {len(data)} bytes"


@rule
def pieces_apart(dump):
    """Two references may name the same memory or string, but nothing may overlap otherwise."""
    pieces = sorted({piece for piece in dump.pieces if piece.size})
    memory = [piece for piece in pieces if piece.what == "memory"]
    pieces = [piece for piece in pieces if piece.what != "memory"] + outermost(memory)
    end, before = 0, None
    for piece in sorted(pieces):
        if piece.rva < end:
            yield f"{piece.what} at {piece.rva:#x} overlaps {before.what} at {before.rva:#x}"
        elif piece.rva - end > PADDING_BYTES_MAX:
            yield f"{piece.rva - end} bytes at {end:#x} belong to nothing"
        if piece.rva + piece.size > end:
            end, before = piece.rva + piece.size, piece
    if len(dump.data) - end > PADDING_BYTES_MAX:
        yield f"{len(dump.data) - end} bytes at the end belong to nothing"


def outermost(pieces):
    """A thread's stack may be a part of a range of MemoryList: those inside others are left out."""
    kept = []
    for piece in sorted(pieces, key=lambda piece: (piece.rva, -piece.size)):
        if not kept or piece.rva + piece.size > kept[-1].rva + kept[-1].size:
            kept.append(piece)
    return kept


@rule
def strings(dump):
    for module in dump.modules:
        if not dump.string(module.name_rva):
            yield f"module {module.base:#x} has no name"
    for _, rva in dump.thread_name_items:
        dump.string(rva)


@rule
def system_info(dump):
    data = dump.stream(md.SYSTEM_INFO)
    if data is None or len(data) != SYSTEM_INFO_BYTES:
        return
    architecture, processors = struct.unpack_from("<H", data)[0], data[6]
    platform, csd_rva = struct.unpack_from("<II", data, 20)
    if architecture not in md.CONTEXT_LAYOUTS:
        yield f"architecture {architecture}"
    if processors == 0:
        yield "no processors"
    if platform != PLATFORM_LINUX:
        yield f"platform {platform:#x}"
    if not dump.string(csd_rva).startswith("Linux "):
        yield f"system text {dump.string(csd_rva)!r}"


@rule
def misc_info(dump):
    """Without the process id here LLDB shows 1."""
    data = dump.stream(md.MISC_INFO)
    if data is None or len(data) < 24:
        return
    (size,) = struct.unpack_from("<I", data)
    if size != len(data):
        yield f"says {size} bytes and has {len(data)}"
    if dump.pid == 0:
        yield "no process id"


@rule
def thread_ids(dump):
    """Breakpad refuses a thread list with a repeated tid."""
    tids = [thread.tid for thread in dump.threads]
    if not tids or 0 in tids:
        yield f"{len(tids)} threads, {tids.count(0)} of them with tid 0"
    for tid in {tid for tid in tids if tids.count(tid) > 1} if len(set(tids)) != len(tids) else ():
        yield f"thread {tid} is there twice"
    if dump.pid not in tids and not main_thread_has_ended(dump):
        yield f"no thread is the main thread, {dump.pid}"


def main_thread_has_ended(dump):
    """Before the others, which the report has to note."""
    try:
        notes = json.loads((dump.stream(md.REPORT) or b"{}").decode("utf-8"))["notes"]
        return any(note["kind"] == "left_out" and note["tid"] == dump.pid for note in notes)
    except (ValueError, LookupError, TypeError):
        return False


@rule
def breakpad_limits(dump):
    if len(dump.threads) > BREAKPAD_THREADS_MAX:
        yield f"{len(dump.threads)} threads"
    if len(dump.memory) > BREAKPAD_REGIONS_MAX:
        yield f"{len(dump.memory)} memory ranges"
    if len(dump.modules) > BREAKPAD_MODULES_MAX:
        yield f"{len(dump.modules)} modules"
    for region in dump.memory:
        if region.size > minidump_memory_rules.BREAKPAD_REGION_BYTES_MAX:
            yield f"memory range {region.start:#x} has {region.size} bytes"


@rule
def contexts(dump):
    layout = dump.context_layout
    for thread in dump.threads:
        flags = dump.context_field(thread, layout.flags_at, "I")
        if thread.context_bytes != layout.size and not (
            flags & 0x40 and thread.context_bytes > layout.size
        ):
            yield f"context of {thread.tid} has {thread.context_bytes} bytes"
        if flags not in layout.flags:
            yield f"context of {thread.tid} has flags {flags:#x}"


@rule
def amd64_contexts(dump):
    """Values that stand twice, or whose bits are known, show a field at a wrong place."""
    for thread in dump.threads if dump.architecture == 9 else ():
        mxcsr, mxcsr_of_fxsave = dump.context_field(thread, 52, "I"), dump.context_field(
            thread, 256 + 24, "I"
        )
        if mxcsr != mxcsr_of_fxsave:
            yield f"context of {thread.tid} has mxcsr {mxcsr:#x} and {mxcsr_of_fxsave:#x}"
        if dump.context_field(thread, 56, "H") & 3 != 3:
            yield f"context of {thread.tid} has a code segment that is not the user's"
        if not dump.context_field(thread, 68, "I") & 2:
            yield f"context of {thread.tid} has eflags without the bit that is always set"


@rule
def stack_pointers(dump):
    """The first word above the stack pointer has to be there, or there is nothing to unwind."""
    for thread in dump.threads:
        sp, start, end = (
            dump.stack_pointer(thread),
            thread.stack_start,
            thread.stack_start + thread.stack_bytes,
        )
        if not start <= sp <= end - 8:
            yield f"thread {thread.tid}: sp {sp:#x} is outside of its stack {start:#x}-{end:#x}"


@rule
def thread_names(dump):
    tids, named = {thread.tid for thread in dump.threads}, [
        tid for tid, _ in dump.thread_name_items
    ]
    if len(set(named)) != len(named):
        yield "a thread has two names"
    for tid in sorted(tids ^ set(named)):
        yield f"thread {tid} is in one of ThreadList and ThreadNames only"


@rule
def linux_texts(dump):
    auxv, status = dump.stream(md.AUXV), dump.stream(md.STATUS)
    if auxv is not None and (len(auxv) % 16 or not auxv.endswith(bytes(16))):
        yield f"auxv of {len(auxv)} bytes does not end with AT_NULL"
    if status is not None and f"\nPid:\t{dump.pid}\n".encode() not in status:
        yield f"status is not that of process {dump.pid}"
    if dump.entry(md.MAPS) is not None and not dump.mappings:
        yield "maps is empty"


@rule
def report(dump):
    data = dump.stream(md.REPORT)
    if data is None:
        return
    try:
        if not isinstance(json.loads(data.decode("utf-8")), dict):
            yield "the report is no JSON object"
    except ValueError as error:
        yield f"the report is not JSON: {error}"


@rule
def soft_errors(dump):
    """rust-minidump shows whatever JSON there is; a list of what the report says, for us."""
    data = dump.stream(md.SOFT_ERRORS)
    if data is None:
        return
    try:
        errors = json.loads(data.decode("utf-8"))
        notes = json.loads((dump.stream(md.REPORT) or b"{}").decode("utf-8"))["notes"]
    except (ValueError, LookupError, TypeError) as error:
        yield f"soft errors or the report's notes can't be read: {error!r}"
        return
    if not isinstance(errors, list):
        yield "the soft errors are no JSON array"
    elif errors != notes:
        yield "the soft errors are not the report's notes"
    for error in errors if isinstance(errors, list) else ():
        if not isinstance(error, dict) or set(error) != {"kind", "tid", "text"}:
            yield f"a soft error without kind, tid and text: {error}"


def violations(dump):
    found = []
    for check in RULES:
        try:
            found += [f"{check.__name__}: {text}" for text in check(dump)]
        except Malformed as error:
            found.append(f"{check.__name__}: {error}")
    return found
