"""dryRun=true on a dump: what it predicts is what the dump then is, and nothing is stopped for it."""

import json
import re
import socket
import subprocess
import threading
import time

from contract_case import main, read_proc
from contract_host import Host
from contract_memory import DATA, FULL, LISTS, PRIVATE, MemoryCase

IGNORE_INACCESSIBLE = 0x20000
KINDS = (0, DATA, FULL, PRIVATE, DATA | FULL, DATA | PRIVATE, FULL | PRIVATE, DATA | FULL | PRIVATE)
# Each of the other bits alone, with no memory besides, and all of them with each kind of memory.
TYPES = KINDS + (0x4, 0x800, 0x1000, IGNORE_INACCESSIBLE) + tuple(kind | LISTS for kind in KINDS)
WAY_HOLD, WAY_COPY = 1, 2
MEMBERS = {
    "pid", "requested_type", "effective_type", "way", "size_bytes", "memory_bytes",
    "shared_memory_bytes", "thread_count", "module_count", "estimated_at_unix_ns", "notes",
}
# Of a process that does nothing; what is promised is 2 %.
CLOSE = 0.02
# What a fork of the target may need of code that the target has not run so far, 64 KiB a page fault.
FORK_CODE_BYTES = 4 * 64 * 1024
# The most that a small dump has of one.
STACK_BYTES = 1024 * 1024


class Estimates(MemoryCase):
    host_options = ("--allow", "dump", "--max-dumps", "32")

    def estimate(self, pid, query, host=None):
        answer = (host or self.host).get(f"/api/processes/{pid}/dump?dryRun=true&{query}")
        self.assertEqual(answer.status, 200, answer.body[:500])
        self.assert_common_headers(answer)
        self.assertEqual(answer.header("Content-Type"), "application/json; charset=utf-8")
        self.assertIsNone(answer.header("X-Procinspect-Pause-Us"))
        self.assertIsNone(answer.header("Content-Disposition"))
        estimate = answer.json()
        self.assertEqual(set(estimate), MEMBERS)
        return estimate

    def get_dump(self, pid, query):
        from minidump_file import Minidump

        answer = self.host.get(f"/api/processes/{pid}/dump?{query}")
        self.assertEqual(answer.status, 200, answer.body[:500])
        return len(answer.body), json.loads(Minidump(answer.body).stream(0x50490001))

    def assert_predicted(self, pid, dump_type):
        query = f"dumpType={dump_type:#x}"
        estimate = self.estimate(pid, query)
        size, report = self.get_dump(pid, query)
        what = f"type {dump_type:#x}: {estimate} for {report}"
        self.assertLess(abs(estimate["size_bytes"] - size), CLOSE * size, what)
        same = ("pid", "requested_type", "effective_type", "way")
        same += ("shared_memory_bytes", "thread_count", "module_count", "notes")
        for name in same:
            self.assertEqual(estimate[name], report[name], f"{name}, {what}")
        # A target's first fork brings code into being that it hadn't run: the pages around a call.
        appeared = FORK_CODE_BYTES if estimate["way"] == WAY_COPY else 0
        self.assertIn(report["memory_bytes"] - estimate["memory_bytes"], range(appeared + 1), what)
        age_s = time.time() - estimate["estimated_at_unix_ns"] / 1e9
        self.assertTrue(0 <= age_s < 60, age_s)
        print(f"# type {dump_type:#x}, way {estimate['way']}: {estimate['size_bytes']} predicted,"
              f" {size} taken", flush=True)
        return estimate

    def test_of_each_type_by_hold(self):
        target, _ = self.start_memory()
        for dump_type in TYPES:
            estimate = self.assert_predicted(target.pid, dump_type)
            self.assertEqual(estimate["way"], WAY_HOLD)
            self.assertEqual(estimate["effective_type"], dump_type | IGNORE_INACCESSIBLE)

    def test_of_each_type_by_copy(self):
        target, _ = self.start_memory(66)
        for dump_type in (*KINDS, DATA | FULL | PRIVATE | LISTS):
            by_copy = dump_type & (FULL | PRIVATE) != 0
            estimate = self.assert_predicted(target.pid, dump_type)
            self.assertEqual(estimate["way"], WAY_COPY if by_copy else WAY_HOLD)

    def test_with_many_threads(self):
        target = self.start_threads(300)
        for dump_type in (0, DATA, FULL, PRIVATE, FULL | LISTS):
            self.wait_until_asleep(target)  # the stack of one that runs isn't counted
            estimate = self.assert_predicted(target.pid, dump_type)
            self.assertEqual(estimate["thread_count"], 301)

    def test_the_format_changes_nothing(self):
        target, _ = self.start_memory()
        raw = self.estimate(target.pid, "dumpType=2&format=raw")
        zipped = self.estimate(target.pid, "dumpType=2&format=ZIP&")
        for estimate in (raw, zipped):
            estimate.pop("estimated_at_unix_ns")
        self.assertLess(abs(raw.pop("size_bytes") - zipped.pop("size_bytes")), 100)
        self.assertEqual(raw, zipped)
        head = self.host.get(
            f"/api/processes/{target.pid}/dump?dryRun=true&dumpType=2", method="HEAD"
        )
        self.assertEqual(head.status, 200)
        self.assertEqual(head.header("Content-Type"), "application/json; charset=utf-8")
        false = self.host.get(f"/api/processes/{target.pid}/dump?dryRun=False")
        self.assertEqual(false.header("Content-Type"), "application/octet-stream")

    def test_nothing_is_stopped(self):
        """A tracer that stops it would be seen by who asks without pause."""
        target, _ = self.start_memory(80)
        switches = re.compile(rb"nonvoluntary_ctxt_switches:\s*(\d+)|voluntary_ctxt_switches:\s*(\d+)")
        before = switches.findall(read_proc(target.pid, "status"))
        seen, is_over = set(), threading.Event()

        def watch():
            while not is_over.is_set():
                status = read_proc(target.pid, "status")
                seen.add(re.search(rb"TracerPid:\t(\d+)", status)[1])
                seen.add(re.search(rb"State:\t(\S)", status)[1])

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            for dump_type in (0, FULL, PRIVATE | LISTS):
                self.estimate(target.pid, f"dumpType={dump_type:#x}")
        finally:
            is_over.set()
            watcher.join()
        self.assertEqual(seen, {b"0", b"S"})
        # It hasn't so much as woken up.
        self.assertEqual(switches.findall(read_proc(target.pid, "status")), before)
        self.assertEqual(read_proc(target.pid, f"task/{target.pid}/children"), b"")

    def test_what_runs_is_not_counted_and_named(self):
        target = self.start(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
        estimate = self.estimate(target.pid, "dumpType=0")
        notes = [note for note in estimate["notes"] if note["kind"] == "not_counted"]
        self.assertEqual([note["tid"] for note in notes], [target.pid])
        self.assertRegex(notes[0]["text"], r"ran when it was looked at")
        estimate = self.estimate(target.pid, "dumpType=2")
        self.assertEqual([each for each in estimate["notes"] if each["kind"] == "not_counted"], [])
        size, _ = self.get_dump(target.pid, "dumpType=2")
        self.assertLess(abs(estimate["size_bytes"] - size), CLOSE * size)

    def test_what_a_dump_would_be_refused_for(self):
        host = Host("--allow", "dump", "--max-dump-bytes", "4000000")
        self.addCleanup(host.stop)
        target, _ = self.start_memory(8)
        path = f"/api/processes/{target.pid}/dump?dryRun=true"
        for dump_type in (FULL, PRIVATE):
            answer = host.get(f"{path}&dumpType={dump_type}")
            self.assert_problem(answer, 413, r"max_dump_bytes allows 4000000\b")
            self.assertGreaterEqual(
                max(int(number) for number in re.findall(r"\d+", answer.json()["detail"])), 8 << 20
            )
        small = self.estimate(target.pid, "dumpType=0", host)
        self.assertLess(small["size_bytes"], 4000000)
        self.assert_problem(self.host.get(f"{path}&dumpType=0x2000"), 501, "WithCodeSegs")
        self.assert_problem(self.host.get(f"{path}&dumpType=0x2000000"), 400, "0x2000000")
        self.assert_problem(self.host.get(f"{path}&format=core"), 501, "core")
        self.assert_problem(self.host.get("/api/processes/99999999/dump?dryRun=true"), 404, "99999999")
        with_env_only = Host("--allow", "env")
        self.addCleanup(with_env_only.stop)
        self.assert_problem(with_env_only.get(path), 403, "dump")
        self.assertEqual(host.stop(), (0, ""))

    def test_a_traced_process_is_a_conflict(self):
        debugger, target = self.start_traced()
        answer = self.host.get(f"/api/processes/{target.pid}/dump?dryRun=true")
        self.assert_problem(answer, 409, str(debugger.pid))

    def test_it_takes_no_place(self):
        host = Host("--allow", "dump", "--max-dumps", "1")
        self.addCleanup(host.stop)
        target, _ = self.start_memory(80)
        with self.open_dump(host, target.pid):
            answer = host.get(f"/api/processes/{target.pid}/dump?dumpType=0")
            self.assert_problem(answer, 429, "max_concurrent_dumps")
            self.assertGreaterEqual(int(answer.header("Retry-After")), 1)
            self.estimate(target.pid, "dumpType=2", host)

    def open_dump(self, host, pid):
        """A dump by copy that a client has begun to read, and no more."""
        client = socket.create_connection(("127.0.0.1", host.port))
        request = f"GET /api/processes/{pid}/dump?dumpType=2 HTTP/1.1\r\n"
        request += f"Host: 127.0.0.1:{host.port}\r\nAuthorization: Bearer {host.token}\r\n\r\n"
        client.sendall(request.encode())
        self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200"))
        return client

    def test_of_the_host_itself(self):
        for dump_type in (0, FULL):
            estimate = self.estimate(0, f"dumpType={dump_type}")
            size, report = self.get_dump(0, f"dumpType={dump_type}")
            same = ["pid", "requested_type", "effective_type", "thread_count"]
            if dump_type == 0:  # a full one may be about as large as a hold takes
                same.append("way")
            for name in same:
                self.assertEqual(estimate[name], report[name], name)
            # It isn't idle: it answers, and stacks of threads that run aren't counted.
            uncounted = sum(note["kind"] == "not_counted" for note in estimate["notes"])
            allowed = 0.5 * size + (uncounted * STACK_BYTES if dump_type == 0 else 0)
            self.assertLess(abs(estimate["size_bytes"] - size), allowed)


if __name__ == "__main__":
    main()
