"""Ends trees as one does with psutil: children(recursive=True), then kill. Reads a pid a line, and
answers the nanoseconds it took until it knows of no process of that tree any more, and at which it
had read the tree; begins with such a line of zeros, when it can."""

import sys
import time

import psutil

print(0, 0, flush=True)
for line in sys.stdin:
    begin = time.monotonic_ns()
    root = psutil.Process(int(line))
    tree = [*root.children(recursive=True), root]
    read_at = time.monotonic_ns()
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass
    psutil.wait_procs(tree, timeout=20)
    print(time.monotonic_ns() - begin, read_at, flush=True)
