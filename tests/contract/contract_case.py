"""What the contract's test programs share: their command line, hosts, targets, and TAP as output.

usage of each: test_NAME.py HTTP_HOST LIBPROCINSPECT_SO THREADS_TARGET CHECK_MINIDUMP
"""

import collections
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from contract_host import COMMON_HEADERS, Host, Programs

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "Message", "ExceptionMessage"}


class ContractCase(unittest.TestCase):
    """One host for all tests of a class: it must end as it began, nothing open, lost or said."""

    host_options = ("--allow", "env,dump")
    host_user_id = None
    host_environment = None

    @classmethod
    def setUpClass(cls):
        cls.host = Host(
            *cls.host_options, user_id=cls.host_user_id, environment=cls.host_environment
        )
        cls.addClassCleanup(cls.host.stop)
        cls.descriptors_at_start = cls.host.descriptors_at_rest()

    @classmethod
    def tearDownClass(cls):
        cls.wait_until_nothing_is_open()
        status, stderr = cls.host.stop()
        if status != 0 or stderr:
            raise AssertionError(f"the host ended with {status} and said: {stderr}")

    @classmethod
    def wait_until_nothing_is_open(cls):
        """But what was at the start."""
        try:
            wait_until(lambda: cls.host.descriptors() == cls.descriptors_at_start)
        except AssertionError as error:
            now = collections.Counter(cls.host.descriptors())
            then = collections.Counter(cls.descriptors_at_start)
            raise AssertionError(f"opened: {now - then}, closed: {then - now}") from error

    def ok(self, path, **more):
        """The JSON of an answer that succeeds."""
        answer = self.host.get(path, **more)
        self.assertEqual(answer.status, 200, f"{path[:200]}: {answer.body[:500]}")
        self.assertEqual(answer.header("Content-Type").split(";")[0], "application/json")
        self.assert_common_headers(answer)
        return answer.json()

    def problem(self, path, status, pattern, **more):
        """An answer that refuses, with problem+json and a text that matches."""
        answer = self.host.get(path, **more)
        self.assert_problem(answer, status, pattern, path)
        return answer

    def assert_problem(self, answer, status, pattern, path=""):
        self.assertEqual(answer.status, status, f"{path[:200]}: {answer.body[:500]}")
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assert_common_headers(answer)
        problem = answer.json()
        self.assertEqual(set(problem), PROBLEM_MEMBERS)
        self.assertEqual(problem["status"], status)
        self.assertRegex(problem["detail"], pattern, path[:200])
        self.assertEqual(problem["Message"], problem["detail"])
        self.assertEqual(problem["ExceptionMessage"], problem["detail"])
        self.assertTrue(problem["type"] and problem["title"])

    def assert_common_headers(self, answer):
        for name, value in COMMON_HEADERS.items():
            self.assertEqual(answer.header(name), value, name)
        self.assertIn("default-src 'none'", answer.header("Content-Security-Policy"))

    def start(self, command, **options):
        """A process to look at, which ends with the test, and its group with it."""
        process = subprocess.Popen(command, start_new_session=True, **options)

        def end():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

        self.addCleanup(end)
        # It has its arguments a moment after Popen believes that the program runs.
        wait_until(lambda: proc_stat(process.pid)[0] == "Z" or read_proc(process.pid, "cmdline"))
        return process

    def start_threads(self, count, **options):
        """The target with `count` threads that stand still beside its main thread."""
        target = self.start(
            [Programs.threads, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options
        )
        line = target.stdout.readline().decode()
        self.assertRegex(line, r"^ready \d+$")
        self.wait_until_asleep(target)
        return target

    def start_traced(self):
        """A debugger, and the process that it holds."""
        tracer = shutil.which("gdb")
        if tracer is None:
            self.skipTest("gdb is not installed")
        target = self.start(["/bin/sleep", "600"])
        debugger = self.start(
            [tracer, "-nx", "-q", "-p", str(target.pid)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        line = b"\nTracerPid:\t%d\n" % debugger.pid
        wait_until(lambda: line in read_proc(target.pid, "status"), timeout_s=30)
        return debugger, target

    def wait_until_asleep(self, target):
        """All of its threads: none may be left stopped."""
        for name in os.listdir(f"/proc/{target.pid}/task"):
            wait_until(lambda tid=name: proc_stat(tid)[0] == "S")


def proc_stat(pid):
    """The fields of /proc/PID/stat from the third on."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].decode().split()


def kernel_thread():
    """A child of kthreadd, where this namespace shows any."""
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and proc_stat(name)[1] == "2":
                return int(name)
        except OSError:
            continue
    return None


def children_of(pid):
    """Of all its threads."""
    folder = f"/proc/{pid}/task"
    lists = (read_proc(pid, f"task/{tid}/children") for tid in os.listdir(folder))
    return b" ".join(lists).split()


def read_proc(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def wait_until(condition, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {condition}")
        time.sleep(0.01)


class TapResult(unittest.TestResult):
    """Each test as a line of TAP, as it ends."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.failed = set()

    def say(self, verdict, test, trace=""):
        self.count += 1
        print(f"{verdict} {self.count} - {test.id().removeprefix('__main__.')}{trace}", flush=True)

    def addSuccess(self, test):
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, error):
        self.failures.append((test, ""))
        self.explain(test, error)
        self.say_failed(test)

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.failures.append((subtest, ""))
            print(f"# in {subtest.id()}")
            self.explain(test, error)
            self.say_failed(test)

    def say_failed(self, test):
        """Once, however many of its subtests fail."""
        if test.id() not in self.failed:
            self.failed.add(test.id())
            self.say("not ok", test)

    def explain(self, test, error):
        for line in self._exc_info_to_string(error, test).splitlines():
            print(f"# {line}")


def main():
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    # The host runs in another folder, and finds its library by itself.
    programs = [os.path.abspath(path) for path in sys.argv[1:5]]
    Programs.host, Programs.shared_object, Programs.threads, Programs.check_minidump = programs
    # After the programs: names of the tests to run, all where there are none.
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]
    names = sys.argv[5:]
    if names:
        suite = loader.loadTestsFromNames(names, module)
    else:
        suite = loader.loadTestsFromModule(module)
    result = TapResult()
    suite.run(result)
    print(f"1..{result.count}")
    sys.exit(0 if result.wasSuccessful() and result.count else 1)
