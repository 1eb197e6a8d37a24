"""Full dumps that clients take at their leisure, or leave, or don't get in full: the target runs,
and nothing is left."""

import json
import os
import signal
import subprocess
import time

from contract_case import children_of, main, proc_stat, wait_until
from contract_host import PatientClient, Programs
from contract_memory import FULL, MemoryCase

WAY_HOLD, WAY_COPY = 1, 2
# Of memory: what is held, and what isn't.
SMALL_MIB, LARGE_MIB = 1, 70
RATE = 1 << 20  # bytes in a second
PART_BYTES = 64 << 10
# Of a large dump this much is read so slowly: the rest would take a minute.
SLOW_BYTES = 2 << 20
CLIENTS = 8


class Counter:
    """The target that counts while it runs."""

    def __init__(self, process):
        self.pid = process.pid
        self.address = int(process.stdout.readline().split()[1], 0)

    def value(self):
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as file:
            return int.from_bytes(os.pread(file.fileno(), 8, self.address), "little")

    def value_in(self, dump):
        return int.from_bytes(dump.memory_at(self.address, 8), "little")


def size_of(client):
    """What the host has promised to it."""
    return int(client.answer.header("Content-Length"))


class SlowClients(MemoryCase):
    host_options = ("--allow", "dump", "--max-dumps", "32")

    def start_counter(self, mebibytes):
        program = os.path.join(os.path.dirname(Programs.threads), "counts")
        target = self.start(
            [program, str(mebibytes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        counter = Counter(target)
        self.assertEqual(target.stdout.readline(), b"ready %d\n" % target.pid)
        return target, counter

    def ask_for_dump(self, pid):
        """A client that is about to read one: it has been taken by then."""
        client = PatientClient(self.host, f"/api/processes/{pid}/dump?dumpType={FULL}")
        self.addCleanup(client.close)
        self.assertEqual(client.answer.status, 200)
        return client

    def assert_running(self, counter):
        """However busy the machine is: it goes on counting."""
        seen = counter.value()
        wait_until(lambda: counter.value() > seen)
        self.assertIn(proc_stat(counter.pid)[0], "RSD")

    def assert_nothing_is_left(self, counter):
        """Of dumps that have ended, in the target or in the host."""
        for pid in (counter.pid, self.host.pid):
            wait_until(lambda pid=pid: children_of(pid) == [], timeout_s=60)
        self.wait_until_nothing_is_open()
        self.assert_running(counter)

    def read_slowly(self, clients, size, counter):
        """By each at the rate, while the target runs: what they get."""
        bodies = [bytearray() for _ in clients]
        begin = time.monotonic()
        for start in range(0, size, PART_BYTES):
            end = min(start + PART_BYTES, size)
            for client, body in zip(clients, bodies):
                body += client.read(end - start)
                self.assertEqual(len(body), end, "the answer has ended")
            self.assert_running(counter)
            time.sleep(max(0, begin + end / RATE - time.monotonic()))
        return bodies

    def rest_of_dump(self, client, begun=b""):
        """All of it, which is complete and right, and its report."""
        from minidump_file import Minidump
        from minidump_rules import violations

        body = bytes(begun) + client.read()
        self.assertEqual(len(body), size_of(client))
        dump = Minidump(body)
        self.assertEqual(violations(dump), [])
        report = json.loads(dump.stream(0x50490001))
        pause_us = int(client.answer.header("X-Procinspect-Pause-Us"))
        self.assertEqual(report["pause_us"]["total"], pause_us)
        return dump, report

    def check_dump_at_a_rate(self, mebibytes, way):
        target, counter = self.start_counter(mebibytes)
        before = counter.value()
        client = self.ask_for_dump(target.pid)
        after = counter.value()
        copies = 1 if way == WAY_COPY else 0
        self.assertEqual(len(children_of(target.pid)), copies)
        self.assertGreater(size_of(client), mebibytes << 20)
        slow_bytes = size_of(client) if way == WAY_HOLD else SLOW_BYTES
        [body] = self.read_slowly([client], slow_bytes, counter)
        self.assertEqual(len(children_of(target.pid)), copies)
        dump, report = self.rest_of_dump(client, body)
        self.assertEqual(report["way"], way)
        # As it was when it was asked for.
        self.assertIn(counter.value_in(dump), range(before, after + 1))
        client.close()
        self.assert_nothing_is_left(counter)

    def test_a_held_dump_at_1_mib_in_a_second(self):
        self.check_dump_at_a_rate(SMALL_MIB, WAY_HOLD)

    def test_a_copied_dump_at_1_mib_in_a_second(self):
        self.check_dump_at_a_rate(LARGE_MIB, WAY_COPY)

    def test_eight_at_once_at_1_mib_in_a_second_that_vanish(self):
        target, counter = self.start_counter(LARGE_MIB)
        clients = [self.ask_for_dump(target.pid) for _ in range(CLIENTS)]
        self.assertEqual(len(children_of(target.pid)), CLIENTS)
        self.read_slowly(clients, 2 * SLOW_BYTES, counter)
        self.assertEqual(len(children_of(target.pid)), CLIENTS)
        for client in clients:
            client.close()
        self.assert_nothing_is_left(counter)
        self.rest_of_dump(self.ask_for_dump(target.pid))

    def test_a_client_that_stalls_is_given_up(self):
        """By the host, after half a minute; not the one beside it that reads slowly for as long."""
        target, counter = self.start_counter(LARGE_MIB)
        stalled = self.ask_for_dump(target.pid)
        [its_copy] = children_of(target.pid)
        slow = self.ask_for_dump(target.pid)
        begun = bytearray()
        while its_copy in children_of(target.pid):
            self.assertLess(len(begun), LARGE_MIB << 20, "the host gives no client up")
            begun += self.read_slowly([slow], RATE, counter)[0]
        self.rest_of_dump(slow, begun)
        slow.close()
        # The one that stalled hasn't closed its own end.
        self.assert_nothing_is_left(counter)
        self.assertLess(len(stalled.read()), size_of(stalled))

    def test_a_copy_that_is_lost_while_it_is_sent(self):
        target, counter = self.start_counter(LARGE_MIB)
        client = self.ask_for_dump(target.pid)
        [copy] = children_of(target.pid)
        [begun] = self.read_slowly([client], PART_BYTES, counter)
        os.kill(int(copy), signal.SIGKILL)
        self.assertLess(len(begun) + len(client.read()), size_of(client))
        self.assert_nothing_is_left(counter)
        self.rest_of_dump(self.ask_for_dump(target.pid))


if __name__ == "__main__":
    main()
