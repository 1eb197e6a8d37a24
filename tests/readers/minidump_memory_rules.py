"""The rules for a dump's memory: what its lists say of it, and what has to be in them. See
minidump_rules.py, which holds a dump to them, too.
"""
from minidump_file import region_below

RVA_END = 1 << 32
BREAKPAD_REGION_BYTES_MAX = 64 << 20

RULES = []


def rule(function):
    RULES.append(function)
    return function


@rule
def stacks_in_memory_list(dump):
    """LLDB unwinds from MemoryList only."""
    for thread in dump.threads:
        region = region_of(dump, thread.stack_start, thread.stack_bytes)
        if region is None:
            yield f"stack of thread {thread.tid} at {thread.stack_start:#x} is not in MemoryList"
        elif region.rva + thread.stack_start - region.start != thread.stack_rva:
            yield f"stack of thread {thread.tid} is in the file twice"


@rule
def instructions_in_memory_list(dump):
    for thread in dump.threads:
        if region_of(dump, dump.program_counter(thread), 1) is None:
            yield f"thread {thread.tid}: no memory around its pc {dump.program_counter(thread):#x}"


def region_of(dump, start, size):
    region = region_below(dump.memory_by_start, start)
    return region if region and start + size <= region.start + region.size else None


@rule
def memory_ranges(dump):
    """Breakpad refuses the whole list over one such range; LLDB's reads end where a range ends."""
    end = size = 0
    for region in dump.memory_by_start:
        if region.size == 0:
            yield f"memory range {region.start:#x} is empty"
            continue
        if region.start < end:
            yield f"memory range {region.start:#x} overlaps the one before"
        elif region.start == end and size < BREAKPAD_REGION_BYTES_MAX:
            yield f"memory range {region.start:#x} could have been joined to the one before"
        if region.start + region.size > 1 << 64:
            yield f"memory range {region.start:#x} wraps around"
        end = max(end, region.start + region.size)
        size = region.size


@rule
def memory64_ranges(dump):
    """A file that fits 4 GiB has them in order and joined; of a larger one those come first that
    MemoryList has, too."""
    fits = len(dump.data) < RVA_END
    if fits and dump.memory64 != dump.memory64_by_start:
        yield "the ranges of Memory64List are in no order"
    end = 0
    for region in dump.memory64_by_start:
        if region.size == 0:
            yield f"range {region.start:#x} of Memory64List is empty"
        if region.start < end:
            yield f"range {region.start:#x} of Memory64List overlaps the one before"
        elif region.start == end and fits:
            yield f"range {region.start:#x} of Memory64List could have been joined"
        if region.start + region.size > 1 << 64:
            yield f"range {region.start:#x} of Memory64List wraps around"
        end = max(end, region.start + region.size)


@rule
def memory_list_of_full_dump(dump):
    """LLDB asks MemoryList first: what it has must be as much as Memory64List would give."""
    if not dump.memory64:
        return
    starts = {region.start for region in dump.memory}
    for region in dump.memory:
        whole = region_below(dump.memory64_by_start, region.start)
        if (
            whole is None
            or region.start >= whole.start + whole.size
            or region.rva - region.start != whole.rva - whole.start
        ):
            yield f"memory range {region.start:#x} is no part of Memory64List's data"
            continue
        end, whole_end = region.start + region.size, whole.start + whole.size
        if end > whole_end or (end < whole_end and end not in starts):
            yield f"memory range {region.start:#x} ends at {end:#x}, not with that of Memory64List"
