"""What a minidump of a Linux process says, taken apart with nothing but the format's own sizes.

Everything is read where it is asked for; what does not fit the format raises Malformed.
"""
import bisect
import struct
from collections import namedtuple
from functools import cached_property

SIGNATURE, VERSION = 0x504D444D, 0xA793
HEADER_BYTES, DIRECTORY_ENTRY_BYTES = 32, 12

THREAD_LIST, MODULE_LIST, MEMORY_LIST, EXCEPTION, SYSTEM_INFO = 3, 4, 5, 6, 7
MEMORY64_LIST, HANDLE_DATA, UNLOADED_MODULES, MISC_INFO, MEMORY_INFO = 9, 12, 14, 15, 16
THREAD_INFO, VM_COUNTERS, THREAD_NAMES = 17, 22, 24
CPUINFO, STATUS, LSB_RELEASE, CMDLINE, ENVIRON, AUXV, MAPS = range(0x47670003, 0x4767000A)
LIMITS = 0x4D7A0003
SOFT_ERRORS = 0x4D7A0004
REPORT = 0x50490001

AT_ENTRY, AT_SYSINFO_EHDR = 9, 33

Header = namedtuple("Header", "signature version stream_count directory_rva checksum time flags")
Entry = namedtuple("Entry", "type size rva")
Thread = namedtuple(
    "Thread",
    "tid suspend_count priority_class priority teb "
    "stack_start stack_bytes stack_rva context_bytes context_rva",
)
Module = namedtuple(
    "Module",
    "base size checksum time name_rva version_signature version_struct "
    "file_version product_version codeview_bytes codeview_rva",
)
Region = namedtuple("Region", "start size rva")
Handle = namedtuple("Handle", "number type_rva name_rva attributes access counts")
MemoryInfo = namedtuple(
    "MemoryInfo",
    "base allocation_base allocation_protect padding1 size state protect type padding2",
)
ThreadInfo = namedtuple(
    "ThreadInfo",
    "tid flags error exit_status created exited kernel_time user_time start_address affinity",
)
Piece = namedtuple("Piece", "rva size what")
# Where the registers that every rule needs are, by SystemInfo's architecture.
ContextLayout = namedtuple("ContextLayout", "size flags_at flags sp_at pc_at")
CONTEXT_LAYOUTS = {
    9: ContextLayout(1232, 48, (0x10000F, 0x10001F, 0x10004F), 152, 248),
    12: ContextLayout(912, 0, (0x00400007,), 256, 264),
}


class Malformed(Exception):
    pass


def region_below(regions, start):
    """The last one of these, in order, that begins there or below; None where there is none."""
    at = bisect.bisect_right(regions, start, key=lambda region: region.start)
    return regions[at - 1] if at > 0 else None


class Minidump:
    def __init__(self, data):
        self.data = data

    def bytes_at(self, rva, size, what):
        if rva + size > len(self.data):
            raise Malformed(
                f"{what} at {rva:#x}, {size} bytes, ends beyond the file's {len(self.data)} bytes"
            )
        return self.data[rva : rva + size]

    def unpack(self, layout, rva, what):
        return struct.unpack("<" + layout, self.bytes_at(rva, struct.calcsize("<" + layout), what))

    @cached_property
    def header(self):
        return Header(*self.unpack("IIIIIIQ", 0, "header"))

    @cached_property
    def directory(self):
        header = self.header
        self.bytes_at(
            header.directory_rva, header.stream_count * DIRECTORY_ENTRY_BYTES, "directory"
        )
        return [
            Entry(
                *self.unpack(
                    "III", header.directory_rva + i * DIRECTORY_ENTRY_BYTES, "directory entry"
                )
            )
            for i in range(header.stream_count)
        ]

    def entry(self, stream_type):
        return next((entry for entry in self.directory if entry.type == stream_type), None)

    def stream(self, stream_type):
        """The bytes of a stream, None where the dump has none."""
        entry = self.entry(stream_type)
        return (
            None
            if entry is None
            else self.bytes_at(entry.rva, entry.size, f"stream {stream_type:#x}")
        )

    def list_rvas(self, stream_type, item_bytes):
        """Where the items of a list are that starts with a 32-bit count."""
        entry = self.entry(stream_type)
        if entry is None:
            return []
        (count,) = self.unpack("I", entry.rva, f"count of stream {stream_type:#x}")
        if 4 + count * item_bytes > entry.size:
            raise Malformed(
                f"stream {stream_type:#x} has {entry.size} bytes, too few for {count} items"
            )
        return [entry.rva + 4 + i * item_bytes for i in range(count)]

    def sized_list(self, stream_type, head_layout, layout):
        """The items of a list that says itself how large its head and its items are."""
        entry = self.entry(stream_type)
        if entry is None:
            return []
        what = f"stream {stream_type:#x}"
        head, item, count = self.unpack(head_layout, entry.rva, what)[:3]
        if head + count * item > entry.size or item < struct.calcsize("<" + layout):
            raise Malformed(f"{what} has {entry.size} bytes: {head} and {count} times {item}?")
        return [
            self.unpack(layout, entry.rva + head + i * item, f"item of {what}")
            for i in range(count)
        ]

    def string(self, rva):
        (length,) = self.unpack("I", rva, "string length")
        if length % 2:
            raise Malformed(f"string at {rva:#x} has an odd length, {length}")
        raw = self.bytes_at(rva + 4, length + 2, "string")
        if raw[-2:] != b"\0\0":
            raise Malformed(f"string at {rva:#x} does not end with NUL")
        try:
            text = raw[:-2].decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise Malformed(f"string at {rva:#x} is not UTF-16LE: {error}") from error
        if "\0" in text:
            raise Malformed(f"string at {rva:#x} has a NUL inside")
        return text

    def string_piece(self, rva, what):
        return Piece(rva, 4 + self.unpack("I", rva, "string length")[0] + 2, what)

    @cached_property
    def threads(self):
        return [
            Thread(*self.unpack("IIIIQQIIII", rva, "thread"))
            for rva in self.list_rvas(THREAD_LIST, 48)
        ]

    @cached_property
    def modules(self):
        modules = []
        for rva in self.list_rvas(MODULE_LIST, 108):
            base, size, checksum, time, name_rva = self.unpack("QIIII", rva, "module")
            version = self.unpack("13I", rva + 24, "module version")
            codeview_bytes, codeview_rva = self.unpack("II", rva + 76, "module record")
            modules.append(
                Module(
                    base,
                    size,
                    checksum,
                    time,
                    name_rva,
                    version[0],
                    version[1],
                    version[2:4],
                    version[4:6],
                    codeview_bytes,
                    codeview_rva,
                )
            )
        return modules

    @cached_property
    def memory(self):
        return [
            Region(*self.unpack("QII", rva, "memory range"))
            for rva in self.list_rvas(MEMORY_LIST, 16)
        ]

    @cached_property
    def handles(self):
        return [Handle(*item) for item in self.sized_list(HANDLE_DATA, "III", "QIIIIQ")]

    @cached_property
    def memory_info(self):
        return [MemoryInfo(*item) for item in self.sized_list(MEMORY_INFO, "IIQ", "QQIIQIIII")]

    @cached_property
    def thread_info(self):
        return [ThreadInfo(*item) for item in self.sized_list(THREAD_INFO, "III", "4I6Q")]

    @cached_property
    def memory64(self):
        """The ranges of a full dump; their data stand in a row."""
        entry = self.entry(MEMORY64_LIST)
        if entry is None:
            return []
        count, rva = self.unpack("QQ", entry.rva, "head of Memory64List")
        if 16 + 16 * count > entry.size:
            raise Malformed(f"Memory64List has {entry.size} bytes, too few for {count} ranges")
        regions = []
        for i in range(count):
            start, size = self.unpack("QQ", entry.rva + 16 + 16 * i, "range of Memory64List")
            regions.append(Region(start, size, rva))
            rva += size
        return regions

    @cached_property
    def memory_by_start(self):
        return sorted(self.memory)

    @cached_property
    def memory64_by_start(self):
        return sorted(self.memory64)

    @cached_property
    def all_memory(self):
        """Of a full dump MemoryList has parts only."""
        return self.memory64_by_start or self.memory_by_start

    def memory_at(self, start, size):
        """The bytes from this address on, of ranges without a gap; None where they are not all
        there."""
        found = []
        while size > 0:
            region = region_below(self.all_memory, start)
            if region is None or start >= region.start + region.size:
                return None
            part = min(size, region.start + region.size - start)
            found.append(self.bytes_at(region.rva + start - region.start, part, "memory"))
            start += part
            size -= part
        return b"".join(found)

    def holds_any_of(self, start, size):
        at = bisect.bisect_left(self.all_memory, start + size, key=lambda region: region.start) - 1
        return at >= 0 and self.all_memory[at].start + self.all_memory[at].size > start

    @cached_property
    def thread_names(self):
        """tid -> RVA of the name; a repeated tid is in `thread_name_items` only."""
        return dict(self.thread_name_items)

    @cached_property
    def thread_name_items(self):
        return [self.unpack("IQ", rva, "thread name") for rva in self.list_rvas(THREAD_NAMES, 12)]

    @cached_property
    def architecture(self):
        system_info = self.stream(SYSTEM_INFO)
        if system_info is None or len(system_info) < 2:
            raise Malformed("no SystemInfo")
        return struct.unpack_from("<H", system_info)[0]

    @cached_property
    def context_layout(self):
        layout = CONTEXT_LAYOUTS.get(self.architecture)
        if layout is None:
            raise Malformed(f"architecture {self.architecture} is not known here")
        return layout

    def context_field(self, thread, offset, layout="Q"):
        self.bytes_at(
            thread.context_rva, offset + struct.calcsize("<" + layout), f"context of {thread.tid}"
        )
        return self.unpack(layout, thread.context_rva + offset, "context")[0]

    def stack_pointer(self, thread):
        return self.context_field(thread, self.context_layout.sp_at)

    def program_counter(self, thread):
        return self.context_field(thread, self.context_layout.pc_at)

    @cached_property
    def pid(self):
        misc = self.stream(MISC_INFO)
        if misc is None or len(misc) < 12:
            raise Malformed("no MiscInfo")
        flags, pid = struct.unpack_from("<II", misc, 4)
        return pid if flags & 1 else 0

    @cached_property
    def auxv(self):
        data = self.stream(AUXV) or b""
        return dict(struct.iter_unpack("<QQ", data[: len(data) // 16 * 16]))

    @cached_property
    def mappings(self):
        """(start, end) of each line of the maps."""
        mappings = []
        for line in (self.stream(MAPS) or b"").splitlines():
            try:
                start, end = (int(number, 16) for number in line.split(b" ", 1)[0].split(b"-"))
            except ValueError as error:
                raise Malformed(f"not a line of maps: {line[:60]!r}") from error
            mappings.append((start, end))
        return mappings

    def build_id(self, module):
        return self.bytes_at(module.codeview_rva, module.codeview_bytes, "module record")[4:].hex()

    @cached_property
    def pieces(self):
        """Everything that the file consists of, by what refers to it."""
        pieces = [
            Piece(0, HEADER_BYTES, "header"),
            Piece(
                self.header.directory_rva,
                self.header.stream_count * DIRECTORY_ENTRY_BYTES,
                "directory",
            ),
        ]
        pieces += [
            Piece(entry.rva, entry.size, f"stream {entry.type:#x}") for entry in self.directory
        ]
        for thread in self.threads:
            pieces.append(Piece(thread.stack_rva, thread.stack_bytes, "memory"))
            pieces.append(
                Piece(thread.context_rva, thread.context_bytes, f"context of {thread.tid}")
            )
        for module in self.modules:
            pieces.append(self.string_piece(module.name_rva, "string"))
            pieces.append(
                Piece(module.codeview_rva, module.codeview_bytes, f"record of {module.base:#x}")
            )
        pieces += [
            Piece(region.rva, region.size, "memory") for region in self.memory + self.memory64
        ]
        pieces += [self.string_piece(rva, "string") for _, rva in self.thread_name_items]
        for handle in self.handles:
            for rva in {handle.type_rva, handle.name_rva} - {0}:
                pieces.append(self.string_piece(rva, "string"))
        if (system_info := self.entry(SYSTEM_INFO)) is not None and system_info.size >= 28:
            (csd_rva,) = self.unpack("I", system_info.rva + 24, "SystemInfo")
            pieces.append(self.string_piece(csd_rva, "string"))
        if (exception := self.entry(EXCEPTION)) is not None:
            size, rva = self.unpack("II", exception.rva + 160, "exception")
            pieces.append(Piece(rva, size, "context of the exception"))
        return pieces
