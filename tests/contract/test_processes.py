"""List items and process objects, each member against what /proc says of the same process."""

import os
import pwd
import socket
import time

from contract_case import ContractCase, main, proc_stat, wait_until
from contract_host import ORDINARY_USER_ID
from contract_values import LIST_ITEM, PROCESS, check, seconds_of_span, unix_of_instant

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIME = 19  # among the fields of proc_stat

ENVIRONMENT = {
    b"PLAIN": b"value",
    b"EMPTY": b"",
    b"EQUALS": b"a=b=c",
    b"LINES": b"one\ntwo\ttab\x01",
    b"UTF8": "żółw €".encode(),
    b"BINARY": b"\xff\xfe left \x80 right",
    b"CUT_\xff": b"name",
    b"LONG": b"x" * 100000,
    b"mixed_Case": b"1",
}
REPAIRED = {
    "PLAIN": "value",
    "EMPTY": "",
    "EQUALS": "a=b=c",
    "LINES": "one\ntwo\ttab\x01",
    "UTF8": "żółw €",
    "BINARY": "\ufffd\ufffd left \ufffd right",
    "CUT_\ufffd": "name",
    "LONG": "x" * 100000,
    "mixed_Case": "1",
}


def status_bytes(pid, name):
    """A Vm… line of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    raise AssertionError(name)


def boot_time():
    with open("/proc/stat", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("btime ")).split()[1])


def numbers_and_starts():
    """Of all processes; a number alone may be another process's a moment later."""
    found = set()
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                found.add((int(name), proc_stat(name)[START_TIME]))
        except OSError:
            continue
    return found


class Lists(ContractCase):
    def test_members_and_order(self):
        target = self.start(["/bin/sleep", "600"])
        for query in ("", "?allUsers=false", "?allUsers=true"):
            items = self.ok("/api/processes" + query)
            check([LIST_ITEM], items)
            keys = [(item["name"].lower(), item["id"]) for item in items]
            self.assertEqual(keys, sorted(keys))
            self.assertEqual(len({item["id"] for item in items}), len(items))
            item = next(item for item in items if item["id"] == target.pid)
            self.assertEqual(
                item,
                {
                    "id": target.pid,
                    "name": "sleep",
                    "href": f"{self.host.origin}/api/processes/{target.pid}",
                    "machineName": socket.gethostname(),
                    "user_name": pwd.getpwuid(os.geteuid()).pw_name,
                },
            )

    def test_all_users(self):
        before = numbers_and_starts()
        everyone = {item["id"] for item in self.ok("/api/processes?allUsers=true")}
        there_all_along = before & numbers_and_starts()
        self.assertLessEqual({pid for pid, _ in there_all_along}, everyone)
        own = {item["id"] for item in self.ok("/api/processes")}
        self.assertIn(1, everyone)
        self.assertIn(os.getpid(), own & everyone)
        for pid in everyone:
            try:
                owner = os.stat(f"/proc/{pid}").st_uid
            except FileNotFoundError:
                continue  # such as the curl that asked
            self.assertEqual(pid in own, owner == os.geteuid(), pid)

    def test_another_users_process_is_in_one_list_only(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start another user's process")
        ids = [f"--reuid={ORDINARY_USER_ID}", "--clear-groups"]
        other = self.start(["setpriv", *ids, "sleep", "600"])
        wait_until(lambda: os.stat(f"/proc/{other.pid}").st_uid == ORDINARY_USER_ID)
        self.assertNotIn(other.pid, [item["id"] for item in self.ok("/api/processes")])
        items = self.ok("/api/processes?allUsers=true")
        item = next(item for item in items if item["id"] == other.pid)
        self.assertEqual(item["user_name"], pwd.getpwuid(ORDINARY_USER_ID).pw_name)

    def test_every_process_of_the_machine_reads_as_a_client_reads(self):
        seen = 0
        for item in self.ok("/api/processes?allUsers=true")[:150]:
            answer = self.host.get(item["href"])
            if answer.status == 404:  # it has ended since
                continue
            self.assertEqual(answer.status, 200, answer.body[:300])
            check(PROCESS, answer.json())
            seen += 1
        self.assertGreater(seen, 2)


class Process(ContractCase):
    def process(self, target):
        process = self.ok(f"/api/processes/{target.pid}")
        check(PROCESS, process)
        return process

    def test_identity(self):
        target = self.start(["/bin/sleep", "600"])
        wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("sleep"))
        process = self.process(target)
        self.assertEqual(process["id"], target.pid)
        self.assertEqual(process["name"], "sleep")
        self.assertEqual(process["href"], f"{self.host.origin}/api/processes/{target.pid}")
        self.assertEqual(process["minidump"], process["href"] + "/dump")
        self.assertEqual(process["machineName"], socket.gethostname())
        self.assertEqual(process["user_name"], pwd.getpwuid(os.geteuid()).pw_name)
        self.assertEqual(process["file_name"], os.readlink(f"/proc/{target.pid}/exe"))
        self.assertEqual(process["command_line"], "/bin/sleep 600")
        self.assertEqual(process["parent"], f"{self.host.origin}/api/processes/{os.getpid()}")
        self.assertEqual(process["children"], [])
        self.assertIs(process["is_scm_site"], False)
        self.assertIs(process["is_webjob"], False)
        self.assertIsNone(process["description"])
        self.assertEqual(
            set(process["unavailable"]),
            {"paged_system_memory", "non_paged_system_memory", "peak_paged_memory"},
        )

    def test_names_and_arguments_of_every_kind(self):
        for arguments, name, command_line in (
            ([b"a-name-that-is-longer-than-15"], "a-name-that-is-longer-than-15", None),
            ([b"/x/\xff\xfe"], "\ufffd\ufffd", "/x/\ufffd\ufffd 600"),
            ([b") R 1 ("], ") R 1 (", None),
            ([b"new\nline"], "new\nline", None),
            ([b"-"], "-", None),
        ):
            with self.subTest(arguments):
                # The name is that of the file: a link to sleep under the name.
                path = os.path.join(os.fsencode(self.host.folder), arguments[0].rpartition(b"/")[2])
                os.symlink(b"/bin/sleep", path)
                target = self.start([*arguments, b"600"], executable=path)
                process = self.process(target)
                self.assertEqual(process["name"], name)
                expected = command_line or arguments[0].decode() + " 600"
                self.assertEqual(process["command_line"], expected)

    def test_children_and_parent(self):
        target = self.start(["/bin/sh", "-c", "sleep 600 & sleep 600 & wait"])
        path = f"/proc/{target.pid}/task/{target.pid}/children"

        def children():
            with open(path, encoding="ascii") as file:
                return sorted(int(word) for word in file.read().split())

        if os.path.exists(path):
            wait_until(lambda: len(children()) == 2)
        else:
            time.sleep(0.5)
        process = self.process(target)
        self.assertEqual(len(process["children"]), 2)
        if os.path.exists(path):
            expected = [f"{self.host.origin}/api/processes/{pid}" for pid in children()]
            self.assertEqual(process["children"], expected)
        for href in process["children"]:
            self.assertEqual(self.ok(href)["parent"], process["href"])
        self.assertTrue(self.ok("/api/processes/1")["parent"].endswith("/api/processes/-1"))

    def test_counts(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        with open("/etc/passwd", "rb") as file:
            target = self.start_threads(16, pass_fds=(read_end, file.fileno()))
            process = self.process(target)
            names = os.listdir(f"/proc/{target.pid}/fd")
            names.sort(key=int)
            links = [os.readlink(f"/proc/{target.pid}/fd/{name}") for name in names]
        self.assertEqual(process["handle_count"], len(names))
        self.assertEqual(process["open_file_handles"], links)
        self.assertIn("/etc/passwd", links)
        self.assertEqual(process["thread_count"], 17)
        self.assertEqual(len(process["threads"]), 17)
        self.assertEqual(process["module_count"], len(process["modules"]))
        self.assertEqual(self.ok(f"/api/processes/{target.pid}/threads"), process["threads"])
        self.assertEqual(self.ok(f"/api/processes/{target.pid}/modules"), process["modules"])

    def test_memory(self):
        target = self.start_threads(4)
        process = self.process(target)
        for member, line in (
            ("working_set", "VmRSS"),
            ("peak_working_set", "VmHWM"),
            ("private_memory", "VmData"),
            ("virtual_memory", "VmSize"),
            ("peak_virtual_memory", "VmPeak"),
            ("paged_memory", "VmSwap"),
        ):
            expected = status_bytes(target.pid, line)
            # The kernel's counts of resident pages are kept for each processor, and lag.
            tolerance = 2 << 20 if line in ("VmRSS", "VmHWM", "VmSwap") else 0
            self.assertAlmostEqual(process[member], expected, delta=tolerance, msg=member)
        for member in ("paged_system_memory", "non_paged_system_memory", "peak_paged_memory"):
            self.assertEqual(process[member], -1)

    def test_times(self):
        before = time.time()
        target = self.start(["/bin/sh", "-c", "while :; do :; done"])
        wait_until(lambda: int(proc_stat(target.pid)[11]) >= 20)  # field 14: user time
        process = self.process(target)
        started = unix_of_instant(process["start_time"])
        self.assertAlmostEqual(started, before, delta=1.5)
        from_proc = boot_time() + int(proc_stat(target.pid)[19]) / TICKS_PER_S
        self.assertAlmostEqual(started, from_proc, delta=1.1)
        self.assertAlmostEqual(unix_of_instant(process["time_stamp"]), time.time(), delta=5)
        user = seconds_of_span(process["user_cpu_time"])
        kernel = seconds_of_span(process["privileged_cpu_time"])
        self.assertGreaterEqual(user, 0.2)
        self.assertAlmostEqual(user, int(proc_stat(target.pid)[11]) / TICKS_PER_S, delta=2)
        total = seconds_of_span(process["total_cpu_time"])
        self.assertAlmostEqual(total, user + kernel, delta=1e-6)
        self.assertEqual(self.process(target)["start_time"], process["start_time"])

    def test_environment(self):
        target = self.start([b"/bin/sleep", b"600"], env=ENVIRONMENT)
        wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("sleep"))
        self.assertEqual(self.process(target)["environment_variables"], REPAIRED)
        path = f"/api/processes/{target.pid}/environments/"
        self.assertEqual(self.ok(path + "all"), REPAIRED)
        self.assertEqual(self.ok(path + "PLAIN"), {"PLAIN": "value"})
        self.assertEqual(self.ok(path + "plain"), {"PLAIN": "value"})
        self.assertEqual(set(self.ok(path + "L")), {"PLAIN", "EQUALS", "LINES", "LONG"})
        self.assertEqual(self.ok(path + "%6dIXED_c"), {"mixed_Case": "1"})
        for shown_or_not in ("cut_%EF%BF%BD", "cut_%ff"):
            self.assertEqual(self.ok(path + shown_or_not), {"CUT_\ufffd": "name"})
        self.assertEqual(self.ok(path + "nothing-like-it"), {})
        self.assertEqual(self.ok(path + "value"), {})

    def test_web_jobs(self):
        job = {"WEBJOBS_NAME": "nightly", "WEBJOBS_TYPE": "Triggered", "APP_POOL_ID": "x~1"}
        target = self.start(["/bin/sleep", "600"], env=job)
        process = self.ok(f"/api/processes/{target.pid}?redact=true")
        self.assertIs(process["is_webjob"], True)
        self.assertIsNone(process["description"])
        self.assertRegex(process["unavailable"]["description"], "redacted")
        self.assertNotIn("nightly", str(process))
        process = self.process(target)
        self.assertIs(process["is_webjob"], True)
        self.assertIs(process["is_scm_site"], False)
        self.assertEqual(process["description"], "WebJob: nightly, Type: Triggered")
        site = self.process(self.start(["/bin/sleep", "600"], env={"APP_POOL_ID": "~1site"}))
        self.assertEqual((site["is_scm_site"], site["is_webjob"]), (True, False))


class WithoutEnvironment(ContractCase):
    """A host that may only look."""

    host_options = ()

    def test_the_environment_is_refused_and_the_rest_is_there(self):
        job = {"WEBJOBS_NAME": "s3cret-job", "SECRET": "s3cret"}
        target = self.start(["/bin/sleep", "600"], env=job)
        answer = self.problem(f"/api/processes/{target.pid}/environments/all", 403, "policy|allow")
        self.assertNotIn(b"s3cret", answer.body)
        process = self.ok(f"/api/processes/{target.pid}")
        check(PROCESS, process)
        self.assertEqual(process["environment_variables"], {})
        self.assertRegex(process["unavailable"]["environment_variables"], "policy|allow")
        self.assertNotIn("s3cret", str(process))
        self.assertIs(process["is_webjob"], True)
        self.assertIsNone(process["description"])
        self.assertRegex(process["unavailable"]["description"], "policy|allow")
        for method, part in (("GET", "/dump"), ("DELETE", ""), ("POST", "/stop")):
            self.problem(f"/api/processes/{target.pid}{part}", 403, "policy|allow", method=method)
        self.assertIsNone(target.poll())


if __name__ == "__main__":
    main()
