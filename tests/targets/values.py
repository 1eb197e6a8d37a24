"""A Python process that says what a debugger is to show of it: see values.cpp.

What a line with `typed` asks for takes the interpreter's debug information (python3-dbg), the rest
its symbols alone: where CPython keeps what is known from the sizes that it tells.
"""

import os
import sys
import threading

NUMBERS = [(n - 3) * 1001 for n in range(300)]
PORTS = {"http": 80, "https": 443, "ssh": 22}
TEXT = f"said by process {os.getpid()}, " * 3
WIDE_TEXT = f"gr\u00fc\u00dfe, \u4e16\u754c: {os.getpid()}"
BYTES = TEXT.encode()
# The same of every object that has a size: count of references, type, size; and where one with a
# pointer or bytes has these.
SIZE, ITEMS, BYTES_AT = 2, 24, sys.getsizeof(b"") - 1


def show(what, value, how="expression"):
    if isinstance(value, str):
        value = f'"{value}"'
    elif isinstance(value, bool):
        value = str(value).lower()
    print(how, what, value, sep="\t")


def show_type(value, name):
    show(f"*(void **)({id(value)} + 8) == (void *)&{name}", True)
    show(f"((PyObject *){id(value)})->ob_type->tp_name", type(value).__name__, "typed")
    show(f"((long *){id(value)})[{SIZE}]", len(value))


def show_text(value, kind, bytes_each, prefix=""):
    show_type(value, "PyUnicode_Type")
    begin = id(value) + sys.getsizeof(value) - bytes_each * (len(value) + 1)
    print(f'expression\t({kind} *){begin}\t{prefix}"{value}"')


def show_values():
    show_text(TEXT, "char", 1)
    show_text(WIDE_TEXT, "char16_t", 2, "u")
    show_type(BYTES, "PyBytes_Type")
    show(f"(char *){id(BYTES) + BYTES_AT}", TEXT)
    show_type(PORTS, "PyDict_Type")
    show_type(NUMBERS, "PyList_Type")
    show(f"(*(long **)({id(NUMBERS)} + {ITEMS}))[299]", id(NUMBERS[299]))
    show(f"*(int *)({id(NUMBERS[299])} + 24)", NUMBERS[299])


def main():
    for _ in range(3):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    print("ready", os.getpid())
    if sys.version_info >= (3, 11):
        show("*(unsigned long *)&Py_Version", sys.hexversion)
    show_values()
    show("_PyRuntime.main_thread", threading.main_thread().ident, "typed")
    show(f"((PyListObject *){id(NUMBERS)})->ob_item[298]->ob_type->tp_name", "int", "typed")
    print("end", flush=True)
    sys.stdin.read()


main()
