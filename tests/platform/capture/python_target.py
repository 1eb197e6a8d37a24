"""Threads that run and threads that sleep. They append a letter for what they have done to the file
that it is given: r, s. Ends by itself where a sleep was short."""

import os
import sys
import threading
import time

ROUNDS = 20000


def run():
    value = 0
    while True:
        for _ in range(ROUNDS):
            value = (value * 31 + 7) % 1000003
        os.write(progress, b"r")


def rest():
    while True:
        begin = time.monotonic()
        time.sleep(0.002)
        if time.monotonic() - begin < 0.002:
            os._exit(3)
        os.write(progress, b"s")


progress = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for what in (run, rest, rest):
    threading.Thread(target=what, daemon=True).start()
os.write(1, b"ready\n")
rest()
