"""What can't be read: kernel threads, zombies, and other users' processes for an ordinary user."""

import os
import signal
import time

from contract_case import ContractCase, kernel_thread, main, proc_stat, wait_until
from contract_host import ORDINARY_USER_ID
from contract_values import MODULE_ITEM, PROCESS, THREAD, THREAD_ITEM, check, is_unknown


class Odd(ContractCase):
    def object(self, pid):
        process = self.ok(f"/api/processes/{pid}")
        check(PROCESS, process)
        for item in process["threads"]:
            check(THREAD, self.ok(item["href"]))
        return process

    def assert_no_memory(self, process):
        for member in ("working_set", "peak_working_set", "private_memory", "virtual_memory",
                       "peak_virtual_memory", "paged_memory"):
            self.assertEqual(process[member], -1, member)
            self.assertTrue(process["unavailable"][member], member)
        self.assertEqual(process["file_name"], "N/A")
        self.assertEqual(process["modules"], [])
        self.assertEqual(process["environment_variables"], {})

    def test_a_zombie(self):
        parent = self.start(["/bin/sh", "-c", "true & exec sleep 600"])

        def zombies():
            path = f"/proc/{parent.pid}/task/{parent.pid}/children"
            with open(path, encoding="ascii") as file:
                return [pid for pid in file.read().split() if proc_stat(pid)[0] == "Z"]

        wait_until(zombies)
        pid = int(zombies()[0])
        process = self.object(pid)
        self.assert_no_memory(process)
        self.assertIsNone(process["command_line"])
        for member in ("command_line", "environment_variables", "is_webjob"):
            self.assertIn("zombie", process["unavailable"][member], member)
        answer = self.host.get(f"/api/processes/{pid}/environments/all")
        pattern = f"Process {pid} has ended and is a zombie: .* its parent, {parent.pid}, waits"
        self.assert_problem(answer, 404, pattern)
        self.assertEqual(process["name"], "true" if process["name"] == "true" else "sh")
        self.assertEqual(process["parent"], f"{self.host.origin}/api/processes/{parent.pid}")
        self.assertIn(process["href"], self.ok(f"/api/processes/{parent.pid}")["children"])
        self.assertIn(pid, [item["id"] for item in self.ok("/api/processes")])
        self.assertEqual(self.ok(f"/api/processes/{pid}/modules"), [])
        answer = self.host.get(f"/api/processes/{pid}/dump")
        self.assert_problem(answer, 404, f"Process {pid} has ended and is a zombie")

    def test_a_kernel_thread(self):
        pid = kernel_thread()
        if pid is None:
            self.skipTest("this PID namespace shows no kernel threads")
        process = self.object(pid)
        self.assert_no_memory(process)
        self.assertEqual(process["user_name"], "root")
        if os.geteuid() == 0:
            self.assertEqual(process["command_line"], "")
            answer = self.host.get(f"/api/processes/{pid}/dump")
            self.assert_problem(answer, 501, "thread of the kernel")

    def test_a_process_that_dies_while_it_is_asked(self):
        paths = ("", "/threads", "/modules", "/environments/all", "/dump")
        statuses = set()
        for index in range(25):
            target = self.start(["/bin/sleep", f"0.0{index}"])
            for path in paths:
                answer = self.host.get(f"/api/processes/{target.pid}{path}")
                statuses.add(answer.status)
                if answer.status == 404:
                    pattern = f"^Process with an Id of {target.pid} is not running.$"
                    if path in ("/environments/all", "/dump"):
                        pattern += f"|^Process {target.pid} has ended and is a zombie"
                    self.assert_problem(answer, 404, pattern, path)
                elif path != "/dump":
                    # A zombie by now, perhaps: its parent, this test, hasn't waited for it.
                    self.assertIn(answer.status, (200, 403), answer.body[:300])
                elif answer.status != 200:
                    pattern = f"{target.pid}.*(zombie|ended|not running)|ptrace_scope|seccomp"
                    self.assert_problem(answer, answer.status, pattern, path)
                    self.assertIn(answer.status, (403, 404, 501))
            target.wait()
            self.problem(f"/api/processes/{target.pid}", 404, "is not running")
        self.assertIn(200, statuses)


class AsOrdinaryUser(ContractCase):
    """A host without privileges looks at processes of root."""

    host_user_id = ORDINARY_USER_ID

    @classmethod
    def setUpClass(cls):
        if os.geteuid() == 0:
            super().setUpClass()
            return
        cls.host_user_id = None  # the tests run as an ordinary user already
        super().setUpClass()

    def roots(self):
        """A process of root's: ours where we are root, else the first of all."""
        if os.geteuid() != 0:
            if os.stat("/proc/1").st_uid != 0:
                self.skipTest("process 1 isn't root's")
            return 1
        target = self.start(["/bin/sleep", "600"], env={"SECRET": "s3cret"})
        wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("sleep"))
        return target.pid

    def test_the_process_object_says_what_it_lacks(self):
        pid = self.roots()
        process = self.ok(f"/api/processes/{pid}")
        check(PROCESS, process)
        self.assertNotIn("s3cret", str(process))
        self.assertEqual(process["user_name"], "root")
        self.assertEqual(process["file_name"], "N/A")
        self.assertEqual(process["handle_count"], -1)
        self.assertEqual(process["open_file_handles"], [])
        self.assertEqual(process["environment_variables"], {})
        for member in ("file_name", "handle_count", "open_file_handles", "environment_variables",
                       "modules", "module_count", "is_webjob", "is_scm_site"):
            self.assertTrue(process["unavailable"][member], member)
            self.assertTrue(is_unknown(process[member], member), member)
        self.assertIn("belongs to user 0", process["unavailable"]["file_name"])
        # World-readable: stat, status, cmdline.
        self.assertGreater(process["thread_count"], 0)
        self.assertGreater(process["virtual_memory"], 0)
        self.assertTrue(process["name"] and process["command_line"] is not None)

    def test_threads_are_there(self):
        pid = self.roots()
        items = self.ok(f"/api/processes/{pid}/threads")
        check([THREAD_ITEM], items)
        check(THREAD, self.ok(f"/api/processes/{pid}/threads/{items[0]['id']}"))

    def test_what_the_kernel_refuses_is_403_and_says_why(self):
        pid = self.roots()
        for path in ("/modules", "/modules/1000", "/environments/all", "/dump"):
            with self.subTest(path):
                answer = self.problem(f"/api/processes/{pid}{path}", 403, "root|user")
                self.assertRegex(answer.json()["detail"], "belongs to user 0.*CAP_SYS_PTRACE")
                self.assertNotIn(b"s3cret", answer.body)
        self.assertNotIn(proc_stat(pid)[0], "TtZX")

    def test_own_processes_are_open_to_it(self):
        command = ["/bin/sleep", "600"]
        if os.geteuid() == 0:
            ids = [f"--reuid={ORDINARY_USER_ID}", f"--regid={ORDINARY_USER_ID}", "--clear-groups"]
            command = ["setpriv", *ids, "--inh-caps=-all", *command]
        target = self.start(command, env={"NAME": "value"})
        wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("sleep"))
        process = self.ok(f"/api/processes/{target.pid}")
        self.assertEqual(process["environment_variables"], {"NAME": "value"})
        self.assertEqual(process["file_name"], os.readlink(f"/proc/{target.pid}/exe"))
        check([MODULE_ITEM], process["modules"])
        self.assertGreater(len(process["modules"]), 1)
        self.assertIn(target.pid, [item["id"] for item in self.ok("/api/processes")])
        answer = self.host.get(f"/api/processes/{target.pid}/dump")
        if answer.status == 403:  # Yama's ptrace_scope, or a container's seccomp filter
            self.assert_problem(answer, 403, "ptrace_scope|seccomp")
        else:
            self.assertEqual((answer.status, answer.body[:4]), (200, b"MDMP"))

    def test_the_lists_differ_by_user(self):
        pid = self.roots()
        self.assertNotIn(pid, [item["id"] for item in self.ok("/api/processes")])
        self.assertIn(pid, [item["id"] for item in self.ok("/api/processes?allUsers=true")])

    def test_its_own_process_and_dump(self):
        self.assertEqual(self.ok("/api/processes/0")["id"], self.host.pid)
        answer = self.host.get("/api/processes/0/dump")
        self.assertEqual((answer.status, answer.body[:4]), (200, b"MDMP"), answer.body[:300])


class Stopped(ContractCase):
    def test_a_stopped_process_stays_so(self):
        target = self.start(["/bin/sleep", "600"])
        target.send_signal(signal.SIGSTOP)
        wait_until(lambda: proc_stat(target.pid)[0] == "T")
        for path in ("", "/threads", "/modules", "/dump"):
            self.assertEqual(self.host.get(f"/api/processes/{target.pid}{path}").status, 200, path)
        time.sleep(0.1)
        self.assertEqual(proc_stat(target.pid)[0], "T")


if __name__ == "__main__":
    main()
