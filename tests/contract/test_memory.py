"""Which memory a dump holds, by its type, of a target that has memory of every kind: what has to be
there, byte for byte, and what must not."""

import array
import contextlib
import fcntl
import json
import os
import re
import resource
import shutil
import subprocess
import sys

from contract_case import children_of, main, read_proc
from contract_host import Host, PatientClient, Programs
from contract_memory import FULL, DATA, PRIVATE, LISTS, MemoryCase

PAGE_BYTES = 4096
PRESENT, SWAPPED, GUARD = 1 << 63, 1 << 62, 1 << 58
IGNORE_INACCESSIBLE = 0x20000  # always set
TYPES = (0, DATA, FULL, PRIVATE, DATA | FULL, DATA | PRIVATE, FULL | PRIVATE, DATA | FULL | PRIVATE)
TYPES += (DATA | PRIVATE | LISTS, FULL | LISTS, DATA | FULL | PRIVATE | LISTS)
WAY_HOLD, WAY_COPY, WAY_SPOOL = 1, 2, 3
HUGE_PAGES_ALLOWED = "/proc/sys/vm/nr_overcommit_hugepages"
# More than a test takes: others may begin meanwhile that take one, too.
HUGE_PAGES_MORE = 8
NEVER = re.compile(r"\[vvar|\[vsyscall\]")


def page_runs(pid, start, end):
    """(start, end) of the pages in a row that the kernel has for the process."""
    with open(f"/proc/{pid}/pagemap", "rb") as file:
        file.seek(start // PAGE_BYTES * 8)
        entries = array.array("Q", file.read((end - start) // PAGE_BYTES * 8))
    begin = None
    for index, entry in enumerate(list(entries) + [0]):
        exists = entry & (PRESENT | SWAPPED) and not entry & GUARD
        if exists and begin is None:
            begin = index
        elif not exists and begin is not None:
            yield start + begin * PAGE_BYTES, start + index * PAGE_BYTES
            begin = None


def existing_memory(pid):
    """All of it, joined."""
    joined = []
    for line in read_proc(pid, "maps").decode().splitlines():
        if NEVER.search(line):
            continue
        start, end = (int(number, 16) for number in line.split(" ", 1)[0].split("-"))
        for run in page_runs(pid, start, end):
            if joined and joined[-1][1] == run[0]:
                joined[-1] = (joined[-1][0], run[1])
            else:
                joined.append(run)
    return joined


@contextlib.contextmanager
def more_huge_pages():
    """Where the kernel and this user's rights permit it, processes get some meanwhile. None is taken
    from anyone: they are made when they are asked for, and gone with the process."""
    try:
        file = open(HUGE_PAGES_ALLOWED, "r+b", buffering=0)
    except OSError:
        yield
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)  # who puts it back puts back what it was
        allowed = file.read()
        os.pwrite(file.fileno(), b"%d" % (int(allowed) + HUGE_PAGES_MORE), 0)
        try:
            yield
        finally:
            os.pwrite(file.fileno(), allowed, 0)


def bytes_of(pid, area):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        return os.pread(file.fileno(), area.size, area.start)


def pattern(area):
    """The words that the target has filled it with."""
    first = (area.seed + area.start) % (1 << 64)
    words = array.array("Q", ((first + 8 * i) % (1 << 64) for i in range(area.size // 8)))
    return words.tobytes()


class Memory(MemoryCase):
    host_options = ("--allow", "dump", "--max-dumps", "32")

    def get_dump(self, pid, dump_type, host=None):
        answer = (host or self.host).get(f"/api/processes/{pid}/dump?dumpType={dump_type:#x}")
        self.assertEqual(answer.status, 200, answer.body[:500])
        return self.dump_of(answer.body, dump_type)

    def dump_of(self, content, dump_type):
        from minidump_file import Minidump
        from minidump_rules import violations

        dump = Minidump(content)
        self.assertEqual(violations(dump), [])
        self.assertEqual(dump.header.flags, dump_type | IGNORE_INACCESSIBLE)
        return dump

    def save(self, dump):
        path = os.path.join(self.host.folder, "dump.dmp")
        with open(path, "wb") as file:
            file.write(dump.data)
        return path

    def assert_area(self, pid, dump, dump_type, area):
        what = f"{area.name} at {area.start:#x} in a dump of type {dump_type:#x}"
        if not area.types & dump_type:
            self.assertFalse(dump.holds_any_of(area.start, area.size), what)
            return
        found = dump.memory_at(area.start, area.size)
        self.assertIsNotNone(found, what)
        self.assertTrue(found == bytes_of(pid, area), what)
        if area.seed:
            self.assertTrue(found == pattern(area), what)

    def test_what_each_type_holds(self):
        target, areas = self.start_memory()
        names = {area.name for area in areas}
        self.assertLessEqual({"forbidden", "memfd-copied", "deleted-shared", "relro", "bss"}, names)
        for dump_type in TYPES:
            dump = self.get_dump(target.pid, dump_type)
            for area in areas:
                self.assert_area(target.pid, dump, dump_type, area)
            report = json.loads(dump.stream(0x50490001))
            self.assertEqual(report["effective_type"], dump_type | IGNORE_INACCESSIBLE)
            held = sum(region.size for region in dump.all_memory)
            self.assertEqual(report["memory_bytes"], held)
            self.assertEqual(report["unreadable_memory_bytes"], 0)

    def test_full_is_what_exists(self):
        target, _ = self.start_memory()
        dump = self.get_dump(target.pid, FULL)
        found = [(region.start, region.start + region.size) for region in dump.memory64]
        self.assertEqual(found, existing_memory(target.pid))
        # And nothing has come to exist by that.
        self.assertEqual(found, existing_memory(target.pid))

    def test_stacks_are_in_every_list(self):
        target = self.start_threads(24)
        for dump_type in TYPES:
            dump = self.get_dump(target.pid, dump_type)
            self.assertEqual(len(dump.threads), 25)
            for thread in dump.threads:
                stack = dump.bytes_at(thread.stack_rva, thread.stack_bytes, "stack")
                self.assertEqual(dump.memory_at(thread.stack_start, thread.stack_bytes), stack)

    def test_with_many_threads(self):
        """Each with a little of its stack touched."""
        target = self.start_threads(1500)
        for dump_type in (DATA, FULL, PRIVATE):
            dump = self.get_dump(target.pid, dump_type)
            self.assertEqual(len(dump.threads), 1501)

    def test_of_the_host_itself(self):
        """What the dump is made in is no part of it: it would be as large as the dump."""
        sizes = [len(self.get_dump(0, FULL).data) for _ in range(3)]
        self.assertLess(max(sizes), 1.5 * min(sizes), sizes)

    def test_what_each_type_holds_of_a_copy(self):
        """More memory than is held: but for the data segments alone these are copied."""
        target, areas = self.start_memory(80)
        for dump_type in (DATA, FULL, PRIVATE, DATA | PRIVATE | LISTS):
            dump = self.get_dump(target.pid, dump_type)
            report = json.loads(dump.stream(0x50490001))
            by_copy = dump_type & (FULL | PRIVATE) != 0
            self.assertEqual(report["way"], WAY_COPY if by_copy else WAY_HOLD)
            for area in areas:
                self.assert_area(target.pid, dump, dump_type, area)
            self.assertEqual(
                report["memory_bytes"], sum(region.size for region in dump.all_memory)
            )
            shared = [note for note in report["notes"] if note["kind"] == "shared"]
            self.assertEqual(len(shared), 1 if report["shared_memory_bytes"] else 0)
        found = [(region.start, region.start + region.size)
                 for region in self.get_dump(target.pid, FULL).memory64]
        self.assertEqual(found, existing_memory(target.pid))
        self.assertEqual(children_of(target.pid), [])
        self.assertIsNone(target.poll())

    def start_with_huge_page(self, mebibytes):
        """The target, and its page of hugetlbfs."""
        with more_huge_pages():
            target, areas = self.start_memory(mebibytes)
        found = [area for area in areas if area.name == "hugetlb"]
        if not found:
            self.skipTest(f"no huge page is free, and {HUGE_PAGES_ALLOWED} can't make it so")
        return target, found[0]

    def test_a_page_of_hugetlbfs_by_hold(self):
        target, area = self.start_with_huge_page(1)
        for dump_type in (DATA, FULL, PRIVATE):
            dump = self.get_dump(target.pid, dump_type)
            self.assertEqual(json.loads(dump.stream(0x50490001))["way"], WAY_HOLD)
            self.assert_area(target.pid, dump, dump_type, area)

    def test_a_page_of_hugetlbfs_by_copy(self):
        """It is written to while the copy lives: where no other is free, the kernel gives it to the
        writer and takes it from the copy."""
        target, area = self.start_with_huge_page(80)
        client = PatientClient(self.host, f"/api/processes/{target.pid}/dump?dumpType={FULL}")
        self.addCleanup(client.close)
        self.assertEqual(client.answer.status, 200)
        self.assertEqual(len(children_of(target.pid)), 1)
        before = bytes_of(target.pid, area)
        with open(f"/proc/{target.pid}/mem", "r+b", buffering=0) as file:
            for start in range(area.start, area.start + area.size, PAGE_BYTES):
                os.pwrite(file.fileno(), b"written to", start)
        self.assertFalse(bytes_of(target.pid, area) == before)
        dump = self.dump_of(client.read(), FULL)
        self.assertEqual(json.loads(dump.stream(0x50490001))["way"], WAY_COPY)
        self.assertTrue(before == pattern(area))
        self.assertTrue(dump.memory_at(area.start, area.size) == before)

    def test_what_cannot_be_copied(self):
        """It may not fork: its memory goes into the directory that the host names, or nowhere."""
        if os.geteuid() == 0:
            self.skipTest("root's processes may always fork")
        target, areas = self.start_memory(80)
        resource.prlimit(target.pid, resource.RLIMIT_NPROC, (0, 0))
        answer = self.host.get(f"/api/processes/{target.pid}/dump?dumpType=2")
        self.assert_problem(answer, 503, r"name a spool_directory")
        folder = os.path.join(self.host.folder, "spool")
        os.mkdir(folder)
        host = Host("--allow", "dump", "--spool-directory", folder)
        self.addCleanup(host.stop)
        dump = self.get_dump(target.pid, FULL, host)
        report = json.loads(dump.stream(0x50490001))
        self.assertEqual(report["way"], WAY_SPOOL)
        self.assertRegex(report["way_reason"], "can't be copied: fork: ")
        for area in areas:
            self.assert_area(target.pid, dump, FULL, area)
        self.assertEqual(os.listdir(folder), [])
        os.rmdir(folder)
        answer = host.get(f"/api/processes/{target.pid}/dump?dumpType=2")
        self.assert_problem(answer, 500, r"No such file or directory")
        self.assertEqual(host.stop(), (0, ""))
        self.assertIsNone(target.poll())

    def test_a_limit_on_the_size_is_413_before_it_is_stopped(self):
        host = Host("--allow", "dump", "--max-dump-bytes", "4000000")
        self.addCleanup(host.stop)
        target, _ = self.start_memory(8)
        answer = host.get(f"/api/processes/{target.pid}/dump?dumpType=0x200")
        self.assert_problem(answer, 413, r"max_dump_bytes allows 4000000\b")
        self.assertIn("was not stopped", answer.json()["detail"])
        answer = host.get(f"/api/processes/{target.pid}/dump?dumpType=2")
        sizes = [int(number) for number in re.findall(r"\d+", answer.json()["detail"])]
        exists = sum(end - start for start, end in existing_memory(target.pid))
        self.assertTrue(any(abs(size - exists) < 1 << 20 for size in sizes), (sizes, exists))
        head = host.get(f"/api/processes/{target.pid}/dump?dumpType=2", method="HEAD")
        self.assertEqual(head.status, 413)
        self.assertIsNone(target.poll())
        self.assertEqual(host.get(f"/api/processes/{target.pid}/dump?dumpType=1").status, 200)
        self.assertEqual(host.stop(), (0, ""))

    def test_a_pause_that_would_be_too_long_is_503(self):
        """50 MiB that are held in 1 ms would be 50 GB/s."""
        host = Host("--allow", "dump", "--max-pause-ms", "1")
        self.addCleanup(host.stop)
        target, _ = self.start_memory(50)
        for _ in range(3):
            answer = host.get(f"/api/processes/{target.pid}/dump?dumpType=2")
            self.assert_problem(answer, 503, "max_pause_ms")
            self.wait_until_asleep(target)
        self.assertIsNone(target.poll())
        self.assertEqual(host.stop(), (0, ""))

    def run_lldb(self, dump, *commands):
        lldb = shutil.which("lldb-19")
        if lldb is None:
            self.skipTest("lldb-19 is not installed")
        arguments = [lldb, "--no-lldbinit", "--batch", "-c", self.save(dump)]
        for command in commands:
            arguments += ["-o", command]
        result = subprocess.run(
            arguments, capture_output=True, text=True, check=False, timeout=120
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_lldb_reads_globals_heap_and_strings(self):
        target, _ = self.start_memory()
        for dump_type in (FULL, DATA | PRIVATE):
            dump = self.get_dump(target.pid, dump_type)
            text = self.run_lldb(
                dump,
                "expression target_greeting",
                "expression target_relro[624]",
                "expression *target_list",
                "expression *target_list->next",
                "expression target_list->next->next->name",
                "up 2",
                "frame variable local",
            )
            for expected in (
                r'"hello from \.data"',
                # What it points to is a constant, and these are in full dumps only.
                r'\$1 = 0x[0-9a-f]+ "relocated"' if dump_type & FULL else r"\$1 = 0x[0-9a-f]+ ",
                r'name = 0x[0-9a-f]+ "first"\s+number = 1\b',
                r'name = 0x[0-9a-f]+ "second"\s+number = -2\b',
                r'0x[0-9a-f]+ "third"',
                r'local = "on the stack"',
            ):
                self.assertRegex(text, expected)

    def test_lldb_shows_the_live_backtraces(self):
        if shutil.which("lldb-19") is None:
            self.skipTest("lldb-19 is not installed")
        target = self.start_threads(24)
        compare = os.path.join(os.path.dirname(Programs.check_minidump), "compare_lldb.py")
        for dump_type in (DATA, FULL):
            path = self.save(self.get_dump(target.pid, dump_type))
            result = subprocess.run(
                [sys.executable, compare, str(target.pid), path],
                capture_output=True, text=True, check=False, timeout=180,
            )
            if "attaching to" in result.stdout:
                self.skipTest("LLDB may not attach here")
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


if __name__ == "__main__":
    main()
