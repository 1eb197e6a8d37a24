"""No processes, descriptors, memory or connections left: answered so, and all is well after."""

import concurrent.futures
import os
import resource
import socket
import subprocess

from contract_case import ContractCase, main, proc_stat, read_proc, wait_until
from contract_host import ORDINARY_USER_ID, Host


class Shortage(ContractCase):
    """A host that is short of something that a limit of the system sets."""

    host_options = ("--allow", "env,dump,kill", "--max-connections", "4")
    limit = None  # as prlimit calls it
    limit_line = None  # as /proc/PID/limits does

    def setUp(self):
        self.target = self.start_target()
        self.base = f"/api/processes/{self.target.pid}"
        self.before = self.host.idle_descriptors()
        with open(f"/proc/{self.host.pid}/limits", encoding="ascii") as file:
            line = next(line for line in file if line.startswith(self.limit_line))
        self.old_limit = line[len(self.limit_line):].split()[0]
        self.addCleanup(self.lift)

    def start_target(self):
        return self.start(["/bin/sleep", "600"])

    def as_host_user(self, *command):
        if self.host_user_id is None:
            return command
        ids = [f"--reuid={self.host_user_id}", f"--regid={self.host_user_id}"]
        return ("setpriv", *ids, "--clear-groups", "--inh-caps=-all", *command)

    def set_limit(self, value):
        """The soft one, which the host's user may change both ways."""
        options = [f"--pid={self.host.pid}", f"--{self.limit}={value}:"]
        subprocess.run(self.as_host_user("prlimit", *options), check=True)

    def lift(self):
        self.set_limit(self.old_limit)

    def refused(self, path, pattern, method="GET"):
        """With 503; the target is as before."""
        self.problem(path, 503, pattern, method=method)
        self.assertIsNone(self.target.poll())
        wait_until(lambda: proc_stat(self.target.pid)[0] == "S")
        self.assertIn(b"\nTracerPid:\t0\n", read_proc(self.target.pid, "status"))

    def assert_all_is_well(self):
        self.lift()
        self.ok("/api/processes?allUsers=true")
        self.ok(self.base)
        dump = self.host.get(self.base + "/dump")
        self.assertEqual((dump.status, dump.body[:4]), (200, b"MDMP"), dump.body[:300])
        wait_until(lambda: self.host.descriptors() == self.before)
        self.assertEqual(self.host.get(self.base, method="DELETE").status, 204)
        self.target.wait(10)


class NoProcesses(Shortage):
    """As an ordinary user: the limit doesn't hold for root."""

    host_user_id = ORDINARY_USER_ID if os.geteuid() == 0 else None
    limit, limit_line = "nproc", "Max processes"

    def start_target(self):
        target = self.start(self.as_host_user("/bin/sleep", "600"))
        wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("sleep"))
        return target

    def test_what_takes_a_process_is_refused_and_the_rest_is_served(self):
        self.set_limit(1)
        for method, path in (("GET", "/dump"), ("DELETE", ""), ("POST", "/stop?grace=1")):
            with self.subTest(f"{method} {path}"):
                self.refused(self.base + path, r"processes.*raise RLIMIT_NPROC", method)
        self.refused("/api/processes/0/dump", r"processes.*raise RLIMIT_NPROC")
        for path in ("", "/threads", "/modules", "/environments/all"):
            self.ok(self.base + path)
        self.ok("/api/processes")
        self.assert_all_is_well()

    def test_a_host_that_gets_no_threads_does_not_start(self):
        with self.assertRaisesRegex(RuntimeError, r"threads.*ulimit -u.*--max-connections"):
            Host(user_id=self.host_user_id, limit="--nproc=1:")


class NoDescriptors(Shortage):
    limit, limit_line = "nofile", "Max open files"
    pattern = r"open files.*raise the host's limit|descriptor.*RLIMIT_NOFILE"

    def test_everything_is_refused(self):
        used = {int(name) for name in os.listdir(f"/proc/{self.host.pid}/fd")}
        free = [number for number in range(max(used) + 3) if number not in used]
        self.set_limit(free[1])  # the connection has free[0]
        for method, path in (
            ("GET", "/api/processes"), ("GET", "/api/processes/0"), ("GET", self.base),
            ("GET", self.base + "/threads"), ("GET", self.base + "/modules"),
            ("GET", self.base + "/environments/all"), ("GET", self.base + "/dump"),
            ("DELETE", self.base),
        ):
            with self.subTest(f"{method} {path}"):
                self.refused(path, self.pattern, method)
        self.assert_all_is_well()

    def test_not_even_one_is_left_for_the_connection(self):
        used = {int(name) for name in os.listdir(f"/proc/{self.host.pid}/fd")}
        self.set_limit(next(number for number in range(max(used) + 2) if number not in used))
        for _ in range(3):
            self.refused(self.base, self.pattern)
            self.refused("/api/processes", self.pattern)
        self.assert_all_is_well()

    def test_few_are_left(self):
        """Whatever is the one too many: an answer in full or a refusal, never part as the whole."""
        used = {int(name) for name in os.listdir(f"/proc/{self.host.pid}/fd")}
        for more in range(2, 12):
            self.set_limit(max(used) + more)
            for path in ("", "/modules", "/dump"):
                answer = self.host.get(self.base + path)
                if answer.status != 200:
                    self.assert_problem(answer, 503, self.pattern, path)
                self.assertIsNone(self.target.poll())
        self.assert_all_is_well()

    def test_a_host_that_could_not_hold_its_connections_does_not_start(self):
        with self.assertRaisesRegex(RuntimeError, r"descriptors.*ulimit -n.*--max-connections"):
            Host("--max-connections", "1000", limit="--nofile=1024:")


class NoMemory(Shortage):
    host_environment = {"ASAN_OPTIONS": "allocator_may_return_null=1"}
    limit, limit_line = "as", "Max address space"

    def start_target(self):
        return self.start_threads(512)

    def test_what_takes_much_is_refused(self):
        size = int(read_proc(self.host.pid, "statm").split()[0]) * resource.getpagesize()
        self.set_limit(size + (3 << 20))  # a connection takes 1.1 MiB
        self.refused(self.base + "/dump", r"Out of memory; free|address space.*raise RLIMIT_AS")
        self.ok("/api/processes/0")
        self.assert_all_is_well()


class NoConnections(ContractCase):
    host_options = ("--allow", "env,dump,kill", "--max-connections", "2")

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.host.port))
        self.addCleanup(connection.close)
        return connection

    def test_who_comes_too_late_waits_for_a_free_one(self):
        silent = [self.connect() for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            late = pool.submit(self.ok, "/api/processes/0")
            with self.assertRaises(concurrent.futures.TimeoutError):
                late.result(0.5)
            silent[0].close()
            self.assertEqual(late.result(10)["id"], self.host.pid)

    def test_a_slow_kill_keeps_only_its_client_waiting(self):
        deaf = self.start(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        path = f"/api/processes/{deaf.pid}?grace=6"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            kill = pool.submit(self.host.get, path, method="DELETE")
            served_meanwhile = 0
            while not kill.done():
                self.ok("/api/processes/0")
                served_meanwhile += not kill.done()
            self.assertEqual(kill.result().status, 204)
            self.assertGreaterEqual(served_meanwhile, 5)


if __name__ == "__main__":
    main()
