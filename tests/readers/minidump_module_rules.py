"""The rules for a dump's modules. See minidump_rules.py, which holds a dump to them, too."""
import struct

import minidump_file as md

CODEVIEW_ELF = 0x4270454C
VERSION_HEADER = 0xFEEF04BD, 0x10000  # signature, and version of the structure

RULES = []


def rule(function):
    RULES.append(function)
    return function


@rule
def module_ranges(dump):
    if not dump.modules:
        yield "no modules"
    end = 0
    for module in sorted(dump.modules):
        if module.size == 0 or module.base % 4096:
            yield f"module {module.base:#x} has {module.size} bytes"
        if module.base < end:
            yield f"module {module.base:#x} overlaps the one before"
        end = module.base + module.size


@rule
def module_bases(dump):
    """A module's base is where its ELF header is mapped."""
    starts = {start for start, _ in dump.mappings}
    for module in dump.modules:
        if module.base not in starts:
            yield f"module {module.base:#x} starts at no mapping"


@rule
def module_records(dump):
    """LLDB and Breakpad match modules to files by this."""
    for module in dump.modules:
        data = dump.bytes_at(module.codeview_rva, module.codeview_bytes, "module record")
        if len(data) < 8 or struct.unpack_from("<I", data)[0] != CODEVIEW_ELF:
            yield f"module {module.base:#x} has no ELF build id record"
        elif not any(data[4:]):
            yield f"module {module.base:#x} has a build id of zeros"


@rule
def first_module(dump):
    """Readers take the first module for the program."""
    entry = dump.auxv.get(md.AT_ENTRY, 0)
    if (
        dump.modules
        and not dump.modules[0].base <= entry < dump.modules[0].base + dump.modules[0].size
    ):
        yield f"the first module, {dump.modules[0].base:#x}, does not hold AT_ENTRY {entry:#x}"


@rule
def vdso_module(dump):
    base = dump.auxv.get(md.AT_SYSINFO_EHDR)
    if base is None:
        return
    names = [dump.string(module.name_rva) for module in dump.modules if module.base == base]
    if names != ["linux-gate.so"]:
        yield f"the vDSO at {base:#x} is {names}"


@rule
def module_versions(dump):
    """The digits of the file's name stand for the file and for the product, or there are none."""
    for module in dump.modules:
        header = module.version_signature, module.version_struct
        if header not in (VERSION_HEADER, (0, 0)):
            yield f"module {module.base:#x}: version of {header[0]:#x}, {header[1]:#x}"
        if module.file_version != module.product_version:
            yield f"module {module.base:#x} has two versions"
        if not module.version_signature and any(module.file_version):
            yield f"module {module.base:#x} has a version without its signature"


@rule
def module_names(dump):
    """Readers look for a file of that name; maps has this behind one that was deleted."""
    for module in dump.modules:
        if dump.string(module.name_rva).endswith(" (deleted)"):
            yield f"module {module.base:#x} is {dump.string(module.name_rva)!r}"


@rule
def one_module_per_file(dump):
    """Adjacent mappings of a file are one module."""
    modules = sorted(dump.modules)
    for module, after in zip(modules, modules[1:]):
        is_adjacent = module.base + module.size == after.base
        if is_adjacent and dump.string(module.name_rva) == dump.string(after.name_rva):
            yield f"module {after.base:#x} is the same file as the one before"
