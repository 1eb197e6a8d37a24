#!/usr/bin/env python3
"""Does the target `blocking_calls` notice a stop that leaves a trace, and only that?

usage: test_blocking_calls.py BLOCKING_CALLS

Stops every thread and lets it go again, some hundred times: once as a careless debugger does, which
must show up as violations of just the calls that the kernel does not restart, and once with those
calls repaired, which must not.
"""
import ctypes
import os
import platform
import signal
import subprocess
import sys
import time
import unittest

PTRACE_PEEKUSER, PTRACE_POKEUSER, PTRACE_CONT, PTRACE_DETACH = 3, 6, 7, 17
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
PTRACE_EVENT_STOP = 128
WALL = 0x40000000
# struct user_regs_struct of x86-64.
RAX_OFFSET, ORIG_RAX_OFFSET = 80, 120
ERESTARTNOHAND = 514
EINTR = 4

# What the kernel ends with a bare EINTR when a stop interrupts it, as signal(7) lists it.
NOT_RESTARTED = {
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "semop",
    "sigtimedwait",
    "io_getevents",
    "accept_tcp",
    "accept_unix",
    "recv_tcp",
    "recv_unix",
    "recv_datagram",
    "recvmsg_unix",
    "recvmmsg_datagram",
    "read_tcp",
    "send_unix",
    "write_unix",
}
# Where the answer depends on the kernel's version.
MAY_NOT_BE_RESTARTED = {"io_uring_enter", "io_pgetevents"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid, address=0, data=0):
    ctypes.set_errno(0)
    return libc.ptrace(request, tid, address, data), ctypes.get_errno()


def wait_for_interrupt(tid):
    """Until the thread has stopped for our PTRACE_INTERRUPT; signals before it are let through."""
    while True:
        _, status = os.waitpid(tid, WALL)
        if not os.WIFSTOPPED(status):
            return False
        if status >> 16 == PTRACE_EVENT_STOP:
            return True
        ptrace(PTRACE_CONT, tid, 0, os.WSTOPSIG(status))


def repair(tid):
    result, _ = ptrace(PTRACE_PEEKUSER, tid, RAX_OFFSET)
    number, _ = ptrace(PTRACE_PEEKUSER, tid, ORIG_RAX_OFFSET)
    if result == -EINTR and number >= 0:
        ptrace(PTRACE_POKEUSER, tid, RAX_OFFSET, ctypes.c_void_p(-ERESTARTNOHAND))


def stop_once(pid, repairing):
    tids = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    seized = [tid for tid in tids if ptrace(PTRACE_SEIZE, tid)[0] == 0]
    for tid in seized:
        ptrace(PTRACE_INTERRUPT, tid)
    stopped = [tid for tid in seized if wait_for_interrupt(tid)]
    for tid in stopped:
        if repairing:
            repair(tid)
        ptrace(PTRACE_DETACH, tid)
    return len(stopped)


class Target:
    def __init__(self):
        self.process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.skipped = []
        while not (line := self.process.stdout.readline()).startswith("ready "):
            self.skipped.append(line.strip())
        self.pid = int(line.split()[1])

    def quit(self):
        """(exit status, last line, kind -> number of violations)"""
        output, _ = self.process.communicate("quit\n", timeout=60)
        lines = output.splitlines()
        violations = {}
        for line in lines[:-1]:
            words = line.split()
            counts = {
                words[i]: int(words[i + 1])
                for i in range(1, min(len(words) - 1, 11), 2)
                if words[i + 1].isdigit()
            }
            kind = words[0].split("/")[0]
            bad = sum(counts.get(name, 0) for name in ("early", "eintr", "wrong"))
            violations[kind] = violations.get(kind, 0) + bad
        return self.process.returncode, lines[-1], violations


class BlockingCallsTest(unittest.TestCase):
    def run_stops(self, times, repairing):
        target = Target()
        try:
            time.sleep(0.3)
            for _ in range(times):
                stopped = stop_once(target.pid, repairing)
                self.assertGreater(stopped, 150)
                time.sleep(0.03)
            return target, target.quit()
        finally:
            target.process.kill()
            target.process.wait()

    def test_undisturbed(self):
        target = Target()
        time.sleep(1.0)
        status, last, violations = target.quit()
        self.assertEqual((status, last), (0, "ok"))
        self.assertEqual(sum(violations.values()), 0)

    def test_careless_stops_are_noticed(self):
        target, (status, last, violations) = self.run_stops(20, repairing=False)
        self.assertEqual(status, 1)
        self.assertRegex(last, r"^violations [1-9]")
        noticed = {kind for kind, count in violations.items() if count}
        skipped = {line.split()[1].split("/")[0] for line in target.skipped}
        self.assertEqual(noticed - MAY_NOT_BE_RESTARTED, NOT_RESTARTED - skipped)

    def test_repaired_stops_leave_no_trace(self):
        if platform.machine() != "x86_64":
            self.skipTest("the repair is written for x86-64's registers")
        _, (status, last, violations) = self.run_stops(200, repairing=True)
        self.assertEqual((status, last, {k: n for k, n in violations.items() if n}), (0, "ok", {}))

    def test_lost_signal_is_noticed(self):
        """A stop that swallows one queued signal in place of letting it through."""
        target = Target()
        try:
            for _ in range(2000):
                if self.swallow_one(target.pid):
                    break
            else:
                self.fail("no signal came while the receiver was traced")
            status, last, violations = target.quit()
            self.assertEqual(status, 1, last)
            self.assertGreater(violations["sigqueue_thread"] + violations["sigqueue_process"], 0)
        finally:
            target.process.kill()
            target.process.wait()

    def swallow_one(self, pid):
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as file:
                if file.read().strip() == "signal_receiver":
                    break
        tid = int(tid)
        self.assertEqual(ptrace(PTRACE_SEIZE, tid)[0], 0)
        time.sleep(0.01)
        ptrace(PTRACE_INTERRUPT, tid)
        swallowed = False
        while True:
            _, status = os.waitpid(tid, WALL)
            if status >> 16 == PTRACE_EVENT_STOP:
                break
            swallow = not swallowed and os.WSTOPSIG(status) >= signal.SIGRTMIN
            swallowed = swallowed or swallow
            ptrace(PTRACE_CONT, tid, 0, 0 if swallow else os.WSTOPSIG(status))
        ptrace(PTRACE_DETACH, tid)
        return swallowed


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
