"""Writes a good dump, from plain data that tests can spoil."""

import struct

import minidump_file as md
import minidump_module_rules as rules

PROGRAM, LIBC, VDSO = 0x555500000000, 0x7F0000000000, 0x7FFFF0000000
CODE = PROGRAM + 0x1000
STACKS = 0x7FFE00000000


class Model:
    """A good dump of two threads and three modules as plain data, to be spoilt and then written."""

    def __init__(self):
        self.flags = 0x21804
        self.pid = 700
        self.tids = [700, 701]
        self.names = {700: "main", 701: "worker"}
        self.stacks = [(STACKS, bytes(4096)), (STACKS + 0x10000, bytes(512))]
        self.memory = [(CODE, bytes(256))] + self.stacks
        self.context_flags = 0x10001F
        self.modules = [
            (PROGRAM, 0x4000, "/bin/program", b"\x01" * 20),
            (LIBC, 0x200000, "/lib/libc.so.6", b"\x02" * 20),
            (VDSO, 0x2000, "linux-gate.so", b"\x03" * 20),
        ]
        self.auxv = {md.AT_ENTRY: CODE, md.AT_SYSINFO_EHDR: VDSO, 0: 0}
        self.maps = [(base, base + size) for base, size, _, _ in self.modules]
        self.extra_streams = []
        self.memory64 = None  # of the same data, from the first range of MemoryList on
        self.system_text = "Linux 6.1.0 #1 SMP x86_64"
        self.platform = 0x8201
        self.processors = 4
        self.report = b'{"pid": 700, "notes": []}'
        self.soft_errors = b"[]"
        # number, type, name, attributes, access
        self.handles = [(0, "file", "/dev/null", 2, 1), (5, "pipe", "pipe:[7]", 0, 2)]
        self.memory_info = [
            [base, base, 0x20, 0, size, 0x1000, 0x20, 0x1000000, 0]
            for base, size, _, _ in self.modules
        ]
        created = 1699999999 * 10_000_000 + 116444736000000000
        self.thread_info = [
            [700, 0, 0, 259, created, 0, 5, 7, 0, 3],
            [701, 2, 0, 259, created + 1, 0, 0, 0, 0, 1],
            [702, 1, 0x80004005, 259, created + 1, 0, 0, 0, 0, 1],
        ]
        self.padding = b""


def full_model(**changes):
    """A full dump, of which MemoryList has all memory, too."""
    model = Model()
    model.flags |= 0x2
    model.memory64 = [(start, len(data)) for start, data in model.memory]
    for name, value in changes.items():
        setattr(model, name, value)
    return model


class Writer:
    """Puts a model's pieces one after another; where those are that tests spoil is kept in `at`."""

    def __init__(self, model):
        self.model, self.out, self.at, self.streams = model, bytearray(), {}, []
        self.memory_rva = None

    def put(self, data, name=None):
        self.out += bytes(-len(self.out) % 8)
        rva = len(self.out)
        self.out += data
        if name:
            self.at[name] = rva
        return rva

    def string(self, text, name=None):
        encoded = text.encode("utf-16-le")
        return self.put(struct.pack("<I", len(encoded)) + encoded + b"\0\0", name)

    def stream(self, stream_type, data, name=None):
        self.streams.append((stream_type, len(data), self.put(data, name)))

    def context(self, sp, pc):
        context = bytearray(1232)
        struct.pack_into("<II", context, 48, self.model.context_flags, 0x1F80)
        struct.pack_into("<H", context, 56, 0x33)
        struct.pack_into("<I", context, 68, 0x246)
        struct.pack_into("<Q", context, 152, sp)
        struct.pack_into("<Q", context, 248, pc)
        struct.pack_into("<I", context, 256 + 24, 0x1F80)
        return bytes(context)

    def threads(self, memory):
        rvas = {start: rva for (start, _), rva in zip(self.model.memory, memory)}
        data = struct.pack("<I", len(self.model.tids))
        for i, tid in enumerate(self.model.tids):
            start, stack = self.model.stacks[i]
            context = self.put(self.context(start + 128, CODE + 128), f"context {i}")
            data += struct.pack(
                "<IIIIQQIIII", tid, 0, 0, 0, 0, start, len(stack), rvas.get(start, 0), 1232, context
            )
        self.stream(md.THREAD_LIST, data, "threads")

    def modules(self):
        data = struct.pack("<I", len(self.model.modules))
        for i, (base, size, name, build_id) in enumerate(self.model.modules):
            record = struct.pack("<I", rules.CODEVIEW_ELF) + build_id
            record_rva = self.put(record, f"record {i}")
            data += struct.pack("<QIIII", base, size, 0, 0, self.string(name, f"name {i}"))
            data += struct.pack("<13I", *rules.VERSION_HEADER, *[0] * 11)
            data += struct.pack("<IIIIQQ", len(record), record_rva, 0, 0, 0, 0)
        self.stream(md.MODULE_LIST, data, "modules")

    def system_info(self):
        data = struct.pack("<HHHBB", 9, 0, 0, self.model.processors, 0) + bytes(12)
        data += struct.pack(
            "<II", self.model.platform, self.string(self.model.system_text)
        ) + bytes(28)
        self.stream(md.SYSTEM_INFO, data, "system")

    def handle_data(self):
        types = {kind: self.string(kind) for kind in sorted({h[1] for h in self.model.handles})}
        items = [
            struct.pack("<QIIIIQ", number, types[kind], self.string(name), attributes, access, 0)
            for number, kind, name, attributes, access in self.model.handles
        ]
        head = struct.pack("<IIII", 16, 32, len(items), 0)
        self.stream(md.HANDLE_DATA, head + b"".join(items), "handles")

    def infos(self):
        regions = [struct.pack("<QQIIQIIII", *region) for region in self.model.memory_info]
        head = struct.pack("<IIQ", 16, 48, len(regions))
        self.stream(md.MEMORY_INFO, head + b"".join(regions), "memory info")
        threads = [struct.pack("<4I6Q", *info) for info in self.model.thread_info]
        head = struct.pack("<III", 12, 64, len(threads))
        self.stream(md.THREAD_INFO, head + b"".join(threads), "thread info")

    def texts(self):
        model = self.model
        self.stream(md.STATUS, f"Name:\tprogram\nPid:\t{model.pid}\nPPid:\t1\n".encode(), "status")
        self.stream(
            md.AUXV, b"".join(struct.pack("<QQ", *pair) for pair in model.auxv.items()), "auxv"
        )
        self.stream(
            md.MAPS,
            b"".join(b"%x-%x r-xp 00000000 08:01 1  /f\n" % pair for pair in model.maps),
            "maps",
        )
        self.stream(md.REPORT, model.report, "report")
        self.stream(md.SOFT_ERRORS, model.soft_errors, "soft errors")

    def write(self):
        model = self.model
        self.put(bytes(32))
        more = 3 + len(model.extra_streams) + (model.memory64 is not None)
        directory = self.put(bytes(12 * (9 + 2 + more)))
        memory = [self.put(data) for _, data in model.memory]
        self.memory_rva = memory[0]
        self.threads(memory)
        self.modules()
        ranges = [
            struct.pack("<QII", start, len(data), rva)
            for (start, data), rva in zip(model.memory, memory)
        ]
        self.stream(md.MEMORY_LIST, struct.pack("<I", len(ranges)) + b"".join(ranges), "memory")
        if model.memory64 is not None:
            data = struct.pack("<QQ", len(model.memory64), memory[0])
            data += b"".join(struct.pack("<QQ", *range64) for range64 in model.memory64)
            self.stream(md.MEMORY64_LIST, data, "memory64")
        names = [struct.pack("<IQ", tid, self.string(name)) for tid, name in model.names.items()]
        self.stream(md.THREAD_NAMES, struct.pack("<I", len(names)) + b"".join(names), "names")
        self.system_info()
        self.stream(md.MISC_INFO, struct.pack("<III", 24, 1, model.pid) + bytes(12), "misc")
        self.texts()
        self.handle_data()
        self.infos()
        for stream_type, data in model.extra_streams:
            self.stream(stream_type, data, f"stream {stream_type:#x}")
        self.out += model.padding
        entries = b"".join(struct.pack("<III", *stream) for stream in self.streams)
        self.out[directory : directory + len(entries)] = entries
        struct.pack_into(
            "<IIIIIIQ",
            self.out,
            0,
            md.SIGNATURE,
            md.VERSION,
            len(self.streams),
            directory,
            0,
            1700000000,
            model.flags,
        )
        self.at["directory"] = directory
        return self.out
