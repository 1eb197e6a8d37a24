"""Files that break rules of minidump_rules.py, by rule."""
import struct

import minidump_asked_rules
import minidump_file as md
import minidump_rules
from minidump_writer import CODE, LIBC, PROGRAM, STACKS, VDSO, Model, Writer, full_model


def spoilt_model(**changes):
    model = Model()
    for name, value in changes.items():
        setattr(model, name, value)
    return Writer(model).write()


def spoilt_bytes(*changes, model=None):
    """changes: (name of a piece, offset in it, struct layout, value)"""
    writer = Writer(model or Model())
    data = writer.write()
    for name, offset, layout, value in changes:
        struct.pack_into("<" + layout, data, writer.at.get(name, 0) + offset, value)
    return data


def spoilt_version(signature, struct_version, file_version=0, product_version=0):
    """Of the first module."""
    values = (signature, struct_version, file_version, 0, product_version)
    return spoilt_bytes(
        *(("modules", 4 + 24 + 4 * i, "I", value) for i, value in enumerate(values))
    )


def spoilt_full_model(**changes):
    return Writer(full_model(**changes)).write()


def entry_offset(stream_type, model=None):
    """Where the directory entry of a stream is, in the directory."""
    writer = Writer(model or Model())
    writer.write()
    return 12 * [stream[0] for stream in writer.streams].index(stream_type)


def stack_of(size):
    return [(STACKS, bytes(4096)), (STACKS + 0x10000, bytes(size))]


def changed_item(items, index, member, value):
    """A copy of the items of a list, one member of one of them changed."""
    changed = [list(item) for item in items]
    changed[index][member] = value
    return changed


def spoilt_handles(index, member, value):
    return spoilt_model(handles=changed_item(Model().handles, index, member, value))


def spoilt_memory_info(index, member, value):
    return spoilt_model(memory_info=changed_item(Model().memory_info, index, member, value))


def spoilt_thread_info(index, member, value):
    return spoilt_model(thread_info=changed_item(Model().thread_info, index, member, value))


# rule -> files that break it; other rules may fire on them too.
SPOILT = {
    "header": [
        spoilt_bytes(("header", 0, "I", 0x504D444E)),
        spoilt_bytes(("header", 4, "I", 0xA794)),
        spoilt_bytes(("header", 16, "I", 1)),
        spoilt_bytes(("header", 20, "I", 0)),
        spoilt_model(flags=0x2000000),
    ],
    "directory": [
        spoilt_model(extra_streams=[(md.LIMITS, b"a"), (md.LIMITS, b"b")]),
        spoilt_model(extra_streams=[(0x4C4C4442, b"a")]),
        spoilt_model(extra_streams=[(0, b"a")]),
    ],
    "required_streams": [
        spoilt_bytes(("directory", entry_offset(stream), "I", 0x12345))
        for stream in minidump_rules.REQUIRED
    ],
    "bounds": [
        spoilt_bytes(("directory", entry_offset(md.REPORT) + 4, "I", 0x1000000)),
        spoilt_bytes(("directory", entry_offset(md.MAPS) + 8, "I", 0xFFFFFFFF)),
        spoilt_bytes(("threads", 4 + 36, "I", 0xFFFFFF0)),
        spoilt_bytes(("memory", 4 + 12, "I", 0xFFFFFF0)),
        spoilt_bytes(("modules", 4 + 20, "I", 0xFFFFFF0)),
        spoilt_bytes(("header", 8, "I", 0xFFFFFFF)),
    ],
    "list_sizes": [
        spoilt_bytes(("directory", entry_offset(md.THREAD_LIST) + 4, "I", 8 + 2 * 48)),
        spoilt_bytes(("directory", entry_offset(md.MODULE_LIST) + 4, "I", 4 + 3 * 112)),
        spoilt_bytes(("directory", entry_offset(md.MEMORY_LIST) + 4, "I", 3)),
        spoilt_bytes(("directory", entry_offset(md.MEMORY_INFO) + 4, "I", 16 + 48 * 3 - 1)),
        spoilt_bytes(("directory", entry_offset(md.HANDLE_DATA) + 4, "I", 16 + 36 * 2)),
        spoilt_bytes(("directory", entry_offset(md.THREAD_INFO) + 4, "I", 12 + 64 * 2)),
    ],
    "fixed_sizes": [
        spoilt_bytes(("directory", entry_offset(md.SYSTEM_INFO) + 4, "I", 57)),
        spoilt_bytes(("directory", entry_offset(md.MISC_INFO) + 4, "I", 1368)),
    ],
    "pieces_apart": [
        spoilt_model(padding=bytes(100)),
        spoilt_bytes(("threads", 4 + 44, "I", 64)),
        spoilt_bytes(("modules", 4 + 80, "I", 40)),
    ],
    "strings": [
        spoilt_bytes(("name 0", 0, "I", 23)),
        spoilt_bytes(("name 0", 4, "H", 0)),
        spoilt_bytes(("name 0", 4, "H", 0xD800)),
        spoilt_bytes(("name 0", 4 + 24, "H", 7)),
        spoilt_model(names={700: "main", 701: "a\0b"}),
        spoilt_model(
            modules=Model().modules[:1] + [(LIBC, 0x200000, "", b"\x02" * 20)] + Model().modules[2:]
        ),
    ],
    "system_info": [
        spoilt_bytes(("system", 0, "H", 0)),
        spoilt_model(platform=0x8203),
        spoilt_model(processors=0),
        spoilt_model(system_text="6.1.0"),
    ],
    "misc_info": [
        spoilt_bytes(("misc", 0, "I", 44)),
        spoilt_bytes(("misc", 4, "I", 0)),
        spoilt_model(pid=0),
    ],
    "thread_ids": [
        spoilt_model(tids=[700, 700]),
        spoilt_model(tids=[700, 0]),
        spoilt_model(tids=[]),
        spoilt_model(pid=699),
    ],
    "breakpad_limits": [
        spoilt_model(memory=Model().memory + [(0x10000 + i * 64, b"x" * 32) for i in range(4096)]),
        spoilt_model(
            modules=Model().modules
            + [(0x10000 + i * 4096, 4096, "m", b"\x04" * 20) for i in range(2046)]
        ),
        spoilt_model(
            tids=list(range(700, 700 + 4097)),
            stacks=[(STACKS + i * 4096, bytes(160)) for i in range(4097)],
        ),
        spoilt_model(memory=[(0x10000, bytes((64 << 20) + 1))] + Model().memory),
    ],
    "contexts": [
        spoilt_model(context_flags=0x10003F),
        spoilt_model(context_flags=0x8010001F),
        spoilt_bytes(("threads", 4 + 40, "I", 1231)),
        spoilt_bytes(("threads", 4 + 48 + 40, "I", 0)),
    ],
    "amd64_contexts": [
        spoilt_bytes(("context 0", 52, "I", 0)),
        spoilt_bytes(("context 1", 56, "H", 0x10)),
        spoilt_bytes(("context 1", 68, "I", 0)),
    ],
    "stack_pointers": [
        spoilt_bytes(("context 0", 152, "Q", STACKS - 8)),
        spoilt_bytes(("context 0", 152, "Q", STACKS + 4096)),
        spoilt_bytes(("context 1", 152, "Q", STACKS)),
        spoilt_model(stacks=stack_of(128)),
    ],
    "stacks_in_memory_list": [
        spoilt_model(memory=Model().memory[:2]),
        spoilt_bytes(("threads", 4 + 36, "I", 32)),
        spoilt_model(memory=Model().memory[:2] + [(STACKS + 0x10000, bytes(511))]),
    ],
    "instructions_in_memory_list": [
        spoilt_model(memory=Model().stacks),
        spoilt_bytes(("context 1", 248, "Q", CODE + 256)),
    ],
    "memory64_ranges": [
        spoilt_full_model(memory64=[(CODE, 256), (STACKS + 0x10000, 512), (STACKS, 4096)]),
        spoilt_full_model(memory64=[(CODE, 256), (STACKS, 0), (STACKS + 1, 512)]),
        spoilt_full_model(memory64=[(CODE, 256), (CODE + 255, 4096), (STACKS, 512)]),
        spoilt_full_model(memory64=[(CODE, 128), (CODE + 128, 128), (STACKS, 4096)]),
        spoilt_full_model(memory64=[(CODE, 256), ((1 << 64) - 16, 32)]),
    ],
    "memory_list_of_full_dump": [
        spoilt_full_model(memory64=[(CODE, 256), (STACKS, 4096)]),
        spoilt_full_model(memory64=[(CODE, 512), (STACKS, 4096), (STACKS + 0x10000, 256)]),
        spoilt_bytes(("memory", 4 + 16 + 12, "I", 4096), model=full_model()),
        spoilt_bytes(("memory", 4 + 8, "I", 255), model=full_model()),
        spoilt_bytes(("memory", 4 + 8, "I", 257), model=full_model()),
    ],
    "memory_ranges": [
        spoilt_model(memory=Model().memory + [(0x1000, b"")]),
        spoilt_model(memory=Model().memory + [(STACKS + 0xFF0, b"x" * 32)]),
        spoilt_model(memory=Model().memory + [(STACKS + 4096, b"x" * 32)]),
        spoilt_model(memory=Model().memory + [((1 << 64) - 16, b"x" * 32)]),
    ],
    "module_ranges": [
        spoilt_model(modules=[]),
        spoilt_bytes(("modules", 4 + 8, "I", 0)),
        spoilt_bytes(("modules", 4, "Q", PROGRAM + 8)),
        spoilt_bytes(("modules", 4 + 108, "Q", PROGRAM)),
    ],
    "module_bases": [
        spoilt_bytes(("modules", 4 + 108, "Q", LIBC + 4096)),
        spoilt_model(maps=Model().maps[1:]),
    ],
    "module_records": [
        spoilt_bytes(("record 1", 0, "I", 0x53445352)),
        spoilt_bytes(("modules", 4 + 76, "I", 4)),
        spoilt_model(modules=[(*module[:3], bytes(20)) for module in Model().modules]),
    ],
    "module_versions": [
        spoilt_version(1, 0),
        spoilt_version(0xFEEF04BD, 1),
        spoilt_version(0xFEEF04BD, 0x10000, file_version=6 << 16),
        spoilt_version(0, 0, file_version=6 << 16, product_version=6 << 16),
    ],
    "module_names": [
        spoilt_model(
            modules=Model().modules[:1]
            + [(LIBC, 0x200000, "/lib/libc.so.6 (deleted)", b"\x02" * 20)]
            + Model().modules[2:]
        ),
    ],
    "one_module_per_file": [
        spoilt_model(
            modules=Model().modules
            + [(LIBC + 0x200000, 0x1000, Model().modules[1][2], b"\x04" * 20)]
        ),
    ],
    "first_module": [
        spoilt_model(modules=Model().modules[::-1]),
        spoilt_model(auxv={md.AT_SYSINFO_EHDR: VDSO, 0: 0}),
    ],
    "vdso_module": [
        spoilt_model(modules=Model().modules[:2]),
        spoilt_model(modules=Model().modules[:2] + [(VDSO, 0x2000, "[vdso]", b"\x03" * 20)]),
    ],
    "thread_names": [
        spoilt_model(names={700: "main"}),
        spoilt_model(names={700: "main", 701: "worker", 702: "x"}),
        spoilt_bytes(("names", 4 + 12, "I", 700)),
    ],
    "streams_of_flags": [
        spoilt_full_model(flags=0x21806 & ~flag) for flag in minidump_asked_rules.STREAM_OF_FLAG
    ]
    + [
        spoilt_bytes(
            ("directory", entry_offset(stream, full_model()), "I", 0x12345), model=full_model()
        )
        for stream in minidump_asked_rules.STREAM_OF_FLAG.values()
    ],
    "handle_data": [
        spoilt_bytes(("handles", 0, "I", 12)),
        spoilt_bytes(("handles", 12, "I", 1)),
        spoilt_bytes(("handles", 16 + 8, "I", 0)),
        spoilt_bytes(("handles", 16 + 24, "I", 1)),
        spoilt_handles(0, 0, 5),
        spoilt_handles(0, 0, 6),
        spoilt_handles(0, 1, ""),
        spoilt_handles(0, 2, ""),
        spoilt_handles(0, 3, 4),
        spoilt_handles(0, 4, 6),
        spoilt_handles(0, 4, 8),
    ],
    "memory_info": [
        spoilt_bytes(("memory info", 4, "I", 40)),
        spoilt_model(memory_info=[]),
        spoilt_model(memory_info=Model().memory_info[::-1]),
        spoilt_memory_info(0, 0, PROGRAM + 1),
        spoilt_memory_info(0, 4, 0),
        spoilt_memory_info(0, 4, 0x5000),
        spoilt_memory_info(1, 2, 3),
        spoilt_memory_info(1, 3, 1),
        spoilt_memory_info(1, 5, 0x2000),
        spoilt_memory_info(1, 6, 0),
        spoilt_memory_info(1, 7, 0),
        spoilt_memory_info(1, 8, 1),
    ],
    "memory_info_of_modules": [
        spoilt_memory_info(0, 1, PROGRAM - 4096),
        spoilt_memory_info(1, 1, PROGRAM),
        spoilt_memory_info(1, 7, 0x20000),
        spoilt_model(
            memory_info=changed_item(
                changed_item(Model().memory_info, 1, 7, 0x40000), 1, 1, PROGRAM
            )
        ),
    ],
    "thread_info": [
        spoilt_bytes(("thread info", 0, "I", 16)),
        spoilt_model(thread_info=Model().thread_info[1:]),
        spoilt_thread_info(2, 0, 701),
        spoilt_thread_info(0, 1, 1),
        spoilt_thread_info(0, 1, 4),
        spoilt_thread_info(2, 1, 0),
        spoilt_thread_info(0, 1, 8),
        spoilt_thread_info(0, 2, 5),
        spoilt_thread_info(2, 2, 0),
        spoilt_thread_info(0, 3, 0),
        spoilt_thread_info(0, 4, 0),
        spoilt_thread_info(0, 4, 1700000003 * 10_000_000 + 116444736000000000),
        spoilt_thread_info(0, 5, 1),
        spoilt_thread_info(0, 8, 1),
    ],
    "linux_texts": [
        spoilt_bytes(("auxv", 32, "Q", 1)),
        spoilt_bytes(("status", 20, "B", ord("9"))),
        spoilt_model(maps=[]),
        spoilt_bytes(("maps", 0, "B", ord("x"))),
    ],
    "soft_errors": [
        spoilt_model(soft_errors=b"{}"),
        spoilt_model(soft_errors=b"["),
        spoilt_model(soft_errors=b'["\xff"]'),
        spoilt_model(soft_errors=b'[{"kind": "left_out", "tid": 0, "text": "not in the report"}]'),
        spoilt_model(
            soft_errors=b'[{"kind": "shared"}]',
            report=b'{"pid": 700, "notes": [{"kind": "shared"}]}',
        ),
    ],
    "report": [
        spoilt_model(report=b"[]"),
        spoilt_model(report=b"{"),
        spoilt_model(report=b'{"a": "\xff"}'),
    ],
}
