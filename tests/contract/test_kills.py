"""DELETE and stop: the tree is gone, what may not be ended is refused, the host ends itself last."""

import os
import select
import signal
import socket
import subprocess
import threading
import time
import unittest

from contract_case import (
    PROBLEM_MEMBERS,
    ContractCase,
    kernel_thread,
    main,
    proc_stat,
    read_proc,
    wait_until,
)
from contract_host import Host, ORDINARY_USER_ID, Programs

OWN_TREES = 100 if os.environ.get("PROCINSPECT_TEST_SOAK") else 10
# A shell, a child, a grandchild; the grandchild's pid is told.
TREE = "sleep 600 & sh -c 'sleep 600 & echo $!; wait' & wait"
# Becomes the host, which has six children and grandchildren then.
PARENT_LAUNCHER = (
    "/bin/sh",
    "-c",
    "sleep 600 & sh -c 'sleep 600 & wait' & setsid sh -c 'sleep 600 & wait' & sleep 600 & "
    'exec "$@"',
    "sh",
)
DEAF_TREE = "trap '' TERM; echo $$; while :; do sleep 1; done"


def is_gone(pid):
    try:
        return proc_stat(pid)[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def children_of(pid):
    """By parent link, from the stat files."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(proc_stat(name)[1]) == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def tree_of(pid):
    members = [pid]
    for each in members:
        members += children_of(each)
    return members


def have_ended(pidfds):
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    return {pidfd for pidfd, _ in poll.poll(0)}


class LastWatch(threading.Thread):
    """Waits for the end of one process, and sees at once which others have not ended by then."""

    def __init__(self, last, others):
        super().__init__()
        self.last = os.pidfd_open(last)
        self.others = {os.pidfd_open(pid): pid for pid in others}
        self.late = None
        self.start()

    def run(self):
        poll = select.poll()
        poll.register(self.last, select.POLLIN)
        if poll.poll(60000):
            ended = have_ended(self.others)
            self.late = [pid for pidfd, pid in self.others.items() if pidfd not in ended]

    def close(self):
        """What is left of them is ended here."""
        for pidfd in (self.last, *self.others):
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.join()
        for pidfd in (self.last, *self.others):
            os.close(pidfd)


class Kills(ContractCase):
    host_options = ("--allow", "kill")

    def start_tree(self, script=TREE):
        """The shell, and all that it started."""
        shell = self.start(["/bin/sh", "-c", script], stdout=subprocess.PIPE)
        last = int(shell.stdout.readline())
        # A shell's child that has yet to execute sleep may take a signal for the shell's trap.
        wait_until(lambda: last == shell.pid or read_proc(last, "comm") == b"sleep\n")
        members = tree_of(shell.pid)
        self.assertIn(last, members)
        return shell, members

    def assert_ended(self, answer, members):
        self.assertEqual((answer.status, answer.body), (204, b""), answer.body[:500])
        self.assertIsNone(answer.header("Content-Type"))
        self.assert_common_headers(answer)
        for pid in members:
            self.assertTrue(is_gone(pid), pid)

    def test_the_tree_is_gone_when_the_answer_comes(self):
        for method, path in (("DELETE", ""), ("POST", "/stop"), ("POST", "/Stop/")):
            with self.subTest(f"{method} {path}"):
                witness = self.start(["/bin/sleep", "600"])
                shell, members = self.start_tree()
                self.assertGreaterEqual(len(members), 4)
                path = f"/api/processes/{shell.pid}{path}"
                self.assert_ended(self.host.get(path, method=method), members)
                self.assertEqual(shell.wait(), -signal.SIGKILL)
                self.problem(path, 404, "is not running", method=method)
                self.assertIsNone(witness.poll())

    def test_grace(self):
        shell, members = self.start_tree("trap 'exit 7' TERM; sleep 600 & echo $!; wait")
        answer = self.host.get(f"/api/processes/{shell.pid}?grace=20", method="DELETE")
        self.assert_ended(answer, members)
        self.assertEqual(shell.wait(), 7)

    def test_the_shortest_and_the_longest_grace(self):
        for grace, status in (("0", -signal.SIGKILL), ("600", 7), ("+600", None), ("0600", 7)):
            with self.subTest(grace):
                shell, members = self.start_tree("trap 'exit 7' TERM; sleep 600 & echo $!; wait")
                path = f"/api/processes/{shell.pid}?grace={grace}"
                if status is None:  # a plus is a space in a query
                    self.problem(path, 400, "grace is", method="DELETE")
                    continue
                self.assert_ended(self.host.get(path, method="DELETE"), members)
                self.assertEqual(shell.wait(), status)

    def test_what_ignores_the_request_is_killed_after_the_grace(self):
        shell, members = self.start_tree(DEAF_TREE)
        answer = self.host.get(f"/api/processes/{shell.pid}/stop?GRACE=1", method="POST")
        self.assert_ended(answer, members)
        self.assertEqual(shell.wait(), -signal.SIGKILL)

    def test_graces_that_are_none(self):
        shell, members = self.start_tree()
        for grace in ("-1", "", "x", "1.5", "0x1", "601", "99999999999999999999", "1%00", "1;2"):
            with self.subTest(grace):
                path = f"/api/processes/{shell.pid}?grace={grace}"
                self.problem(path, 400, "grace is .*from 0 to 600", method="DELETE")
        self.problem(f"/api/processes/{shell.pid}?grace=1&grace=1", 400, "once", method="DELETE")
        self.assertFalse(any(is_gone(pid) for pid in members))

    def test_refusals_stop_nothing(self):
        self.problem("/api/processes/1", 403, "Process 1|user 0|container", method="DELETE")
        ancestor = os.getpid()
        self.problem(f"/api/processes/{ancestor}", 403, "holds this host|user", method="DELETE")
        self.problem(f"/api/processes/{self.host.pid}", 403, "own process, 0", method="DELETE")
        self.problem("/api/processes/-1/stop", 404, "main", method="POST")
        self.problem("/api/processes/99999999", 404, "is not running", method="DELETE")
        self.assertIn(proc_stat(self.host.pid)[0], "SR")

    def test_a_zombie_and_a_traced_process_are_gone(self):
        parent = self.start(["/bin/sh", "-c", "true & exec sleep 600"])
        wait_until(lambda: [pid for pid in children_of(parent.pid) if proc_stat(pid)[0] == "Z"])
        self.assert_ended(
            self.host.get(f"/api/processes/{children_of(parent.pid)[0]}", method="DELETE"), []
        )
        self.assertIsNone(parent.poll())
        debugger, traced = self.start_traced()
        self.assert_ended(
            self.host.get(f"/api/processes/{traced.pid}", method="DELETE"), [traced.pid]
        )
        self.assertIsNone(debugger.poll())

    def test_a_kernel_thread_is_refused(self):
        pid = kernel_thread()
        if pid is None:
            self.skipTest("this PID namespace shows no kernel threads")
        self.problem(f"/api/processes/{pid}", 403, "thread of the kernel|user", method="DELETE")

    def test_a_client_that_goes_in_the_middle(self):
        before = self.host.idle_descriptors()
        shell, _ = self.start_tree(DEAF_TREE)
        with socket.create_connection(("127.0.0.1", self.host.port)) as client:
            client.sendall(
                f"DELETE /api/processes/{shell.pid}?grace=1 HTTP/1.1\r\nHost: "
                f"{self.host.authority}\r\nAuthorization: Bearer {self.host.token}\r\n\r\n".encode()
            )
            time.sleep(0.2)
        self.assertEqual(shell.wait(20), -signal.SIGKILL)
        wait_until(lambda: self.host.descriptors() == before)
        self.ok("/api/processes/0")

    @unittest.skipUnless(os.getuid() == 0, "takes root to run as two users")
    def test_a_member_of_another_user_is_refused(self):
        self.assertEqual(Kills.host_user_id, None)
        host = Host("--allow", "kill", user_id=ORDINARY_USER_ID)
        self.addCleanup(host.stop)
        shell, members = self.start_tree()
        answer = host.get(f"/api/processes/{shell.pid}", method="DELETE")
        pattern = f"kernel doesn't let this user signal the process {shell.pid} .*CAP_KILL"
        self.assert_problem(answer, 403, pattern)
        self.assertFalse(any(is_gone(pid) for pid in members))

    @unittest.skipUnless(os.getuid() == 0, "takes root to run as two users")
    def test_a_host_that_serves_its_own_user_only(self):
        host = Host("--allow", "kill", "--own-user", user_id=ORDINARY_USER_ID)
        self.addCleanup(host.stop)
        shell, members = self.start_tree()
        answer = host.get(f"/api/processes/{shell.pid}", method="DELETE")
        self.assert_problem(answer, 403, f"policy .*process {shell.pid}: .*user 0, .*own user")
        self.assertFalse(any(is_gone(pid) for pid in members))

    def test_a_member_that_sigkill_does_not_end(self):
        stuck = os.path.join(os.path.dirname(Programs.threads), "stuck")
        holder = self.start([stuck, "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = holder.stdout.readline().decode()
        if line.startswith("cannot"):
            self.skipTest(line.strip())
        root, member = map(int, line.split())
        answer = self.host.get(f"/api/processes/{root}", method="DELETE")
        self.assertEqual(answer.status, 500, answer.body)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assert_common_headers(answer)
        problem = answer.json()
        self.assertEqual(set(problem), PROBLEM_MEMBERS | {"report"})
        self.assertRegex(problem["detail"], rf"1 of the 3 .*\n{member} \(stuck\): SIGKILL was sent")
        outcomes = {item["pid"]: item["outcome"] for item in problem["report"]["items"]}
        self.assertEqual((outcomes[root], outcomes[member]), ("ended", "survived"))
        self.assertEqual(proc_stat(member)[0], "D")
        holder.stdin.close()
        self.assertEqual(holder.wait(20), 0)
        wait_until(lambda: is_gone(member))

    def test_a_host_that_does_not_allow_it(self):
        host = Host("--allow", "env,dump")
        self.addCleanup(host.stop)
        shell, members = self.start_tree()
        for path in (f"/api/processes/{shell.pid}", "/api/processes/0"):
            answer = host.get(path, method="DELETE")
            self.assert_problem(answer, 403, "PROCINSPECT_ALLOW_KILL")
        self.assertFalse(any(is_gone(pid) for pid in members))
        self.assertIsNone(host.process.poll())

    def test_the_host_answers_and_ends_itself(self):
        for method, path in (("DELETE", "/api/processes/0"), ("POST", "/api/processes/0/stop")):
            for run in range(OWN_TREES):
                with self.subTest(f"{method} {run}"):
                    host = Host("--allow", "kill")
                    answer = host.get(path, method=method)
                    self.assertEqual((answer.exit_code, answer.status), (0, 204))
                    self.assert_common_headers(answer)
                    self.assertEqual(host.process.wait(20), -signal.SIGKILL)
                    self.assertEqual(host.stop()[1], "")

    def test_the_host_ends_what_it_started_and_itself_last(self):
        for run in range(OWN_TREES):
            with self.subTest(run):
                host = Host("--allow", "kill", launcher=PARENT_LAUNCHER)
                wait_until(lambda host=host: len(tree_of(host.pid)) == 7)
                witness = self.start(["/bin/sleep", "600"])
                watch = LastWatch(host.pid, tree_of(host.pid)[1:])
                answer = host.get("/api/processes/0", method="DELETE")
                host.process.wait(20)
                watch.join(60)
                watch.close()
                self.assertEqual((answer.exit_code, answer.status, answer.body), (0, 204, b""))
                self.assert_common_headers(answer)
                self.assertEqual(watch.late, [])
                self.assertEqual(host.process.returncode, -signal.SIGKILL)
                self.assertEqual(host.stop()[1], "")
                self.assertIsNone(witness.poll())

    def test_nothing_is_left_stopped_or_open(self):
        before = self.host.descriptors()
        for _ in range(5):
            shell, members = self.start_tree()
            self.assert_ended(
                self.host.get(f"/api/processes/{shell.pid}", method="DELETE"), members
            )
        wait_until(lambda: self.host.descriptors() == before)
        self.assertIn(b"\nTracerPid:\t0\n", read_proc(self.host.pid, "status"))


main()
