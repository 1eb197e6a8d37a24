"""Full dumps that a client takes at its leisure, or leaves: the target runs, and nothing is left."""

import json
import os
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

    def read_slowly(self, client, size, counter):
        """At the rate, while the target runs."""
        body = b""
        begin = time.monotonic()
        while len(body) < size:
            body += client.read(min(PART_BYTES, size - len(body)))
            self.assert_running(counter)
            time.sleep(max(0, begin + len(body) / RATE - time.monotonic()))
        return body

    def check_dump_at_a_rate(self, mebibytes, way):
        from minidump_file import Minidump
        from minidump_rules import violations

        target, counter = self.start_counter(mebibytes)
        before = counter.value()
        client = self.ask_for_dump(target.pid)
        after = counter.value()
        self.assertEqual(len(children_of(target.pid)), 1 if way == WAY_COPY else 0)
        size = int(client.answer.header("Content-Length"))
        self.assertGreater(size, mebibytes << 20)
        body = self.read_slowly(client, size if way == WAY_HOLD else SLOW_BYTES, counter)
        self.assertEqual(len(children_of(target.pid)), 1 if way == WAY_COPY else 0)
        body += client.read()
        self.assertEqual(len(body), size)
        dump = Minidump(body)
        self.assertEqual(violations(dump), [])
        self.assertEqual(json.loads(dump.stream(0x50490001))["way"], way)
        # As it was when it was asked for.
        self.assertIn(counter.value_in(dump), range(before, after + 1))
        client.close()
        wait_until(lambda: children_of(target.pid) == [] and children_of(self.host.pid) == [])
        self.wait_until_nothing_is_open()
        self.assert_running(counter)

    def test_a_held_dump_at_1_mib_in_a_second(self):
        self.check_dump_at_a_rate(SMALL_MIB, WAY_HOLD)

    def test_a_copied_dump_at_1_mib_in_a_second(self):
        self.check_dump_at_a_rate(LARGE_MIB, WAY_COPY)

    def test_clients_that_stall_or_vanish(self):
        """Eight at once."""
        target, _ = self.start_memory(80)
        clients = [self.ask_for_dump(target.pid) for _ in range(8)]
        self.assertEqual(len(children_of(target.pid)), 8)
        self.wait_until_asleep(target)
        for client in clients:
            client.close()
        wait_until(lambda: children_of(target.pid) == [], timeout_s=60)
        answer = self.host.get(f"/api/processes/{target.pid}/dump?dumpType={FULL}")
        self.assertEqual(answer.status, 200)


if __name__ == "__main__":
    main()
