#!/usr/bin/env python3
"""Does LLDB see the same in a minidump as it sees attached to the live process?

usage: compare_lldb.py PID DUMP [--own-thread TID] [--values FILE]

The threads must stand still, since the process is looked at after the dump was taken. Compared are
the ids of the threads, every frame of every backtrace (pc, function, module), and the modules
(path, build id, base), which in the dump must have been found as files and not as placeholders.
Prints the differences and exits 1, or prints one line.

--own-thread: the thread that took the dump of its own process. It has moved on since, so only its
frames outside of main are compared, and that the dump shows it inside of the capture.

--values: what the process itself says of its values, a line for each: how to ask for it, what to ask
for, and what LLDB is to show of it in the dump, with tabs between. How: `variable`, a path as `frame
variable` takes it, in the innermost frame that has the program's own code; `global`, the same of a
global variable as the type that its object has; `expression`, one of C++; `typed`, the same, to be
left out where LLDB knows no PyObject. {NAME} is the address of a symbol.

The script runs itself inside of lldb-19, whose Python knows LLDB.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cached_property

VDSO_NAMES = ("[vdso]", "linux-gate.so")  # LLDB's own, its address may follow; Breakpad's
COPY = re.compile(r" \(copy \d+\)$")  # a library that is there twice; live, LLDB knows one
SYMBOL = re.compile(r"{([\w.]+)}")
GLOBAL = re.compile(r"([\w:]+)(.*)")
DIFFERENCES_SHOWN_MAX = 40
CAPTURE_FUNCTION = "procinspect_dump_capture"


def frames_of(thread):
    frames = []
    for frame in thread:
        module = frame.GetModule().GetFileSpec().GetFilename()
        frames.append((frame.GetPC(), frame.GetDisplayFunctionName(), module))
    return frames


def modules_of(target):
    """path -> (base, build id, whether LLDB found the file's sections)"""
    modules = {}
    for module in target.module_iter():
        path = module.GetFileSpec().fullpath
        base = module.GetObjectFileHeaderAddress().GetLoadAddress(target)
        modules[path] = (base, module.GetUUIDString(), module.FindSection(".text").IsValid())
    return modules


class View:
    """What LLDB knows of one process, live or from a file."""

    def __init__(self, process):
        self.threads = {thread.GetThreadID(): frames_of(thread) for thread in process}
        self.modules = modules_of(process.GetTarget())
        self.thread_count = process.GetNumThreads()


def attach(debugger, pid):
    import lldb

    error = lldb.SBError()
    target = debugger.CreateTarget("")
    process = target.AttachToProcessWithID(debugger.GetListener(), pid, error)
    if error.Fail():
        raise RuntimeError(f"attaching to {pid}: {error.GetCString()}")
    try:
        return View(process)
    finally:
        process.Detach()
        debugger.DeleteTarget(target)


def load(debugger, path):
    import lldb

    error = lldb.SBError()
    target = debugger.CreateTarget("")
    process = target.LoadCore(path, error)
    if error.Fail():
        raise RuntimeError(f"opening {path}: {error.GetCString()}")
    view = View(process)
    view.pid = process.GetProcessID()
    view.target = target
    return view


def is_vdso(path):
    return os.path.basename(path).split("(")[0] in VDSO_NAMES


def compare_modules(live, dump):
    """The vDSO is no file: its base and build id are all there is to compare."""
    for path in sorted(set(live.modules) | set(dump.modules)):
        if is_vdso(path):
            continue
        if COPY.search(path) and COPY.sub("", path) in dump.modules:
            continue
        if path not in dump.modules or path not in live.modules:
            yield f"module {path}: {'only live' if path in live.modules else 'only in the dump'}"
            continue
        (live_base, live_id, _), (base, build_id, found) = live.modules[path], dump.modules[path]
        if live_base != base:
            yield f"module {path}: base {base:#x}, live {live_base:#x}"
        if live_id != build_id:
            yield f"module {path}: build id {build_id}, live {live_id}"
        if not found:
            yield f"module {path}: LLDB did not match it to the file"
    vdsos = [
        [values[1] for path, values in view.modules.items() if is_vdso(path)]
        for view in (live, dump)
    ]
    if vdsos[0] != vdsos[1]:
        yield f"vDSO: build ids {vdsos[1]}, live {vdsos[0]}"


def show(frame):
    return f"{frame[0]:#x} {frame[1]} in {frame[2]}"


def compare_frames(tid, live, dump):
    for number, (live_frame, frame) in enumerate(zip(live, dump)):
        if live_frame != frame:
            yield f"thread {tid} frame {number}: {show(frame)}, live {show(live_frame)}"
            return
    if len(live) != len(dump):
        yield f"thread {tid}: {len(dump)} frames, live {len(live)}"


def outside_of_main(frames):
    names = [frame[1] for frame in frames]
    return frames[names.index("main") + 1 :] if "main" in names else None


def compare_own_thread(tid, live, dump):
    if CAPTURE_FUNCTION not in [frame[1] for frame in dump]:
        yield f"thread {tid}: the dump does not show it in {CAPTURE_FUNCTION}"
    expected, found = outside_of_main(live), outside_of_main(dump)
    if not found or expected != found:
        yield f"thread {tid}: frames outside of main are {found}, live {expected}"


def compare_threads(live, dump, own_thread):
    for tid in sorted(set(live.threads) ^ set(dump.threads)):
        yield f"thread {tid}: {'only live' if tid in live.threads else 'only in the dump'}"
    if dump.thread_count != len(dump.threads):
        yield f"{dump.thread_count} threads have {len(dump.threads)} ids"
    for tid in sorted(set(live.threads) & set(dump.threads)):
        compare = compare_own_thread if tid == own_thread else compare_frames
        yield from compare(tid, live.threads[tid], dump.threads[tid])


class Values:
    """What LLDB shows of variables and expressions in the dump."""

    def __init__(self, target):
        import lldb

        self.target = target
        self.options = lldb.SBExpressionOptions()
        self.options.SetLanguage(lldb.eLanguageTypeC_plus_plus)
        self.dynamic = lldb.eDynamicDontRunTarget
        self.frame = self.own_frame(target.GetProcess())

    @cached_property
    def has_types(self):
        return self.target.FindFirstType("PyObject").IsValid()

    def own_frame(self, process):
        """The main thread's, of the program that it runs."""
        program = self.target.GetExecutable().GetFilename()
        for frame in process.GetThreadByID(process.GetProcessID()):
            if frame.GetModule().GetFileSpec().GetFilename() == program:
                return frame
        return process.GetSelectedThread().GetSelectedFrame()

    def address_of(self, match):
        for context in self.target.FindSymbols(match[1]):
            return str(context.GetSymbol().GetStartAddress().GetLoadAddress(self.target))
        return match[0]

    def show(self, how, what):
        if how == "variable":
            value = self.frame.GetValueForVariablePath(what)
        elif how == "global":
            name, path = GLOBAL.match(what).groups()
            value = self.target.FindFirstGlobalVariable(name).GetDynamicValue(self.dynamic)
            value = value.GetValueForExpressionPath(path) if path else value
        else:
            what = SYMBOL.sub(self.address_of, what)
            value = self.target.EvaluateExpression(what, self.options)
        return value.GetSummary() or value.GetValue() or str(value.GetError())


def compare_values(target, path):
    """The differences, and of how many"""
    values, count, differences = Values(target), 0, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            how, what, expected = line.rstrip("\n").split("\t")
            if how == "typed" and not values.has_types:
                continue
            count += 1
            shown = values.show(how, what)
            if shown != expected:
                differences.append(f"{how} {what}: {shown}, the process has {expected}")
    return differences, count


def compare(debugger, pid, path, own_thread, values):
    debugger.SetAsync(False)
    live, dump = attach(debugger, pid), load(debugger, path)
    differences = [] if dump.pid == pid else [f"process id {dump.pid}, live {pid}"]
    differences += compare_modules(live, dump)
    differences += compare_threads(live, dump, own_thread)
    frames = sum(len(frames) for frames in dump.threads.values())
    found, value_count = compare_values(dump.target, values) if values else ([], None)
    differences += found
    return {
        "differences": differences,
        "threads": len(dump.threads),
        "modules": len(dump.modules),
        "frames": frames,
        "values": value_count,
    }


def __lldb_init_module(debugger, _):
    """LLDB calls this when it imports the script."""
    arguments = json.loads(os.environ["COMPARE_LLDB_ARGUMENTS"])
    try:
        result = compare(
            debugger,
            arguments["pid"],
            arguments["dump"],
            arguments["own_thread"],
            arguments["values"],
        )
    except RuntimeError as error:
        result = {"differences": [str(error)]}
    with open(arguments["result"], "w", encoding="utf-8") as file:
        json.dump(result, file)


def run_in_lldb(arguments):
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as result:
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "COMPARE_LLDB_ARGUMENTS": json.dumps({**vars(arguments), "result": result.name}),
        }
        lldb = subprocess.run(
            [
                "lldb-19",
                "--no-lldbinit",
                "--batch",
                "-o",
                f"command script import {os.path.abspath(__file__)}",
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        text = result.read()
    if not text:
        sys.exit(f"lldb-19 did not run the comparison:\n{lldb.stdout}{lldb.stderr}")
    return json.loads(text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pid", type=int)
    parser.add_argument("dump")
    parser.add_argument("--own-thread", type=int)
    parser.add_argument("--values")
    result = run_in_lldb(parser.parse_args())
    differences = result["differences"]
    if not differences:
        names = [name for name in ("threads", "modules", "frames", "values") if result[name] is not None]
        counts = (f"{result[name]} {name}" for name in names)
        print(f"lldb: {', '.join(counts)} match")
        return 0
    for difference in differences[:DIFFERENCES_SHOWN_MAX]:
        print(difference)
    print(f"lldb: {len(differences)} differences")
    return 1


if __name__ == "__main__":
    sys.exit(main())
