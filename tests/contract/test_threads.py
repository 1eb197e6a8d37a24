"""Thread items and thread objects against /proc/PID/task."""

import os
import signal
import time

from contract_case import ContractCase, main, proc_stat, wait_until
from contract_values import NO_WAIT, THREAD, THREAD_ITEM, check, seconds_of_span, unix_of_instant

WORKERS = 12


class Threads(ContractCase):
    def thread(self, pid, tid):
        thread = self.ok(f"/api/processes/{pid}/threads/{tid}")
        check(THREAD, thread)
        return thread

    def test_list(self):
        target = self.start_threads(WORKERS)
        items = self.ok(f"/api/processes/{target.pid}/threads")
        check([THREAD_ITEM], items)
        tids = sorted(int(name) for name in os.listdir(f"/proc/{target.pid}/task"))
        self.assertEqual([item["id"] for item in items], tids)
        self.assertEqual(len(tids), WORKERS + 1)
        for item in items:
            base = f"{self.host.origin}/api/processes/{target.pid}/threads"
            self.assertEqual(item["href"], f"{base}/{item['id']}")
            self.assertEqual(item["state"], "Wait")

    def test_members(self):
        target = self.start_threads(WORKERS)
        process = self.ok(f"/api/processes/{target.pid}")
        names = set()
        for item in process["threads"]:
            thread = self.thread(target.pid, item["id"])
            self.assertEqual({name: thread[name] for name in THREAD_ITEM}, item)
            with open(f"/proc/{target.pid}/task/{item['id']}/comm", encoding="utf-8") as file:
                self.assertEqual(thread["name"], file.read().rstrip("\n"))
            names.add(thread["name"])
            self.assertEqual(thread["process"], process["href"])
            self.assertEqual(thread["os_state"], "S")
            self.assertIsNone(thread["start_address"])
            self.assertIn("start_address", thread["unavailable"])
            self.assertEqual(thread["current_priority"], os.getpriority(os.PRIO_PROCESS, 0))
            self.assertNotEqual(thread["wait_reason"], NO_WAIT)
            started = unix_of_instant(thread["start_time"])
            self.assertGreaterEqual(started, unix_of_instant(process["start_time"]))
            self.assertAlmostEqual(started, time.time(), delta=30)
            user = seconds_of_span(thread["user_processor_time"])
            kernel = seconds_of_span(thread["priviledged_processor_time"])
            total = seconds_of_span(thread["total_processor_time"])
            self.assertAlmostEqual(total, user + kernel, delta=1e-6)
        self.assertTrue({"worker-0", f"worker-{WORKERS - 1}"} <= names, names)

    def test_states(self):
        spinning = self.start(["/bin/sh", "-c", "while :; do :; done"])
        wait_until(lambda: int(proc_stat(spinning.pid)[11]) >= 20)
        thread = self.thread(spinning.pid, spinning.pid)
        self.assertEqual((thread["state"], thread["os_state"]), ("Running", "R"))
        self.assertEqual(thread["wait_reason"], NO_WAIT)
        self.assertGreaterEqual(seconds_of_span(thread["user_processor_time"]), 0.2)

        spinning.send_signal(signal.SIGSTOP)
        wait_until(lambda: proc_stat(spinning.pid)[0] == "T")
        thread = self.thread(spinning.pid, spinning.pid)
        self.assertEqual((thread["state"], thread["os_state"]), ("Wait", "T"))
        self.assertEqual(thread["wait_reason"], "Suspended")

        sleeping = self.start(["/bin/sleep", "600"])
        wait_until(lambda: proc_stat(sleeping.pid)[0] == "S")
        thread = self.thread(sleeping.pid, sleeping.pid)
        self.assertEqual((thread["state"], thread["os_state"]), ("Wait", "S"))
        self.assertIn(thread["wait_reason"], ("ExecutionDelay", "Unknown"))

    def test_priorities(self):
        for nice, level in ((0, "Normal"), (5, "BelowNormal"), (10, "Lowest"), (19, "Idle")):
            target = self.start(["nice", "-n", str(nice), "sleep", "600"])
            wait_until(lambda pid=target.pid: os.readlink(f"/proc/{pid}/exe").endswith("sleep"))
            expected = os.getpriority(os.PRIO_PROCESS, target.pid)
            thread = self.thread(target.pid, target.pid)
            self.assertEqual(thread["current_priority"], expected)
            self.assertEqual(thread["base_priority"], expected)
            if expected == nice:  # not where the tests themselves run with another one
                self.assertEqual(thread["priority_level"], level)

    def test_names_of_every_kind(self):
        # A process's main thread has the name of the file; 15 bytes of it, whatever they are.
        for name, shown in (
            (b"a) S 1 (", "a) S 1 ("),
            (b"\xff\xfe", "\ufffd\ufffd"),
            (b"x" * 30, "x" * 15),
        ):
            path = os.path.join(os.fsencode(self.host.folder), name)
            os.symlink(b"/bin/sleep", path)
            target = self.start([name, b"600"], executable=path)
            self.assertEqual(self.thread(target.pid, target.pid)["name"], shown)


if __name__ == "__main__":
    main()
