"""Dumps over HTTP: headers, validity, LLDB's view, clients that go, several at once."""

import concurrent.futures
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from contract_case import ContractCase, main, read_proc, wait_until
from contract_host import Host, Programs

WORKERS = 24
TOKEN_RUNS = 500 if os.environ.get("PROCINSPECT_TEST_SOAK") else 40


def check_minidump(path):
    """The strict reader's summary, with the rules that the file breaks."""
    result = subprocess.run(
        [sys.executable, Programs.check_minidump, path], capture_output=True, text=True, check=False
    )
    if not result.stdout:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


class Dumps(ContractCase):
    host_options = ("--allow", "env,dump", "--max-dumps", "32")

    def get_dump(self, pid, query="", host=None):
        answer = (host or self.host).get(f"/api/processes/{pid}/dump{query}")
        self.assertEqual(answer.status, 200, answer.body[:500])
        self.assertEqual(answer.exit_code, 0)
        return answer

    def save(self, answer):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "dump.dmp")
        with open(path, "wb") as file:
            file.write(answer.body)
        return path

    def test_headers(self):
        target = self.start_threads(WORKERS)
        before = time.time()
        answer = self.get_dump(target.pid)
        self.assert_common_headers(answer)
        self.assertEqual(answer.header("Content-Type"), "application/octet-stream")
        self.assertEqual(int(answer.header("Content-Length")), len(answer.body))
        instance = re.sub(r"[^A-Za-z0-9._-]", "", socket.gethostname())[:6]
        match = re.fullmatch(
            r"attachment; filename=threads-(.*)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)\.dmp",
            answer.header("Content-Disposition"),
        )
        self.assertIsNotNone(match, answer.header("Content-Disposition"))
        self.assertEqual(match[1], instance)
        stamps = [time.strftime("%m-%d-%H-%M-%S", time.gmtime(before + each)) for each in range(30)]
        self.assertIn("-".join(match.groups()[1:]), stamps)
        pause_us = int(answer.header("X-Procinspect-Pause-Us"))
        self.assertGreater(pause_us, 0)
        self.assertLess(pause_us, 5_000_000)

    def test_the_name_is_made_safe(self):
        path = os.path.join(self.host.folder, 'a "b;c\n\u20ac')
        os.symlink("/bin/sleep", path)
        target = self.start(["sleep", "600"], executable=path)
        disposition = self.get_dump(target.pid).header("Content-Disposition")
        self.assertRegex(disposition, r"^attachment; filename=abc-[A-Za-z0-9._-]+\.dmp$")

    def test_a_strict_reader_accepts_it(self):
        target = self.start_threads(WORKERS)
        answer = self.get_dump(target.pid, "?dumpType=0&format=raw")
        summary = check_minidump(self.save(answer))
        self.assertEqual(summary["violations"], [])
        self.assertEqual(summary["pid"], target.pid)
        tids = sorted(int(name) for name in os.listdir(f"/proc/{target.pid}/task"))
        self.assertEqual(sorted(thread["tid"] for thread in summary["threads"]), tids)
        for thread in summary["threads"]:
            with open(f"/proc/{target.pid}/task/{thread['tid']}/comm", encoding="utf-8") as file:
                self.assertEqual(thread["name"], file.read().rstrip("\n"))
        modules = self.ok(f"/api/processes/{target.pid}/modules")
        shown = {item["base_address"]: item["href"] for item in modules}
        self.assertEqual({f"{module['base']:x}" for module in summary["modules"]}, set(shown))
        for module in summary["modules"]:
            described = self.ok(shown[f"{module['base']:x}"])
            self.assertEqual(module["build_id"], described["build_id"], module["name"])

    def test_lldb_opens_it(self):
        lldb = shutil.which("lldb-19")
        if lldb is None:
            self.skipTest("lldb-19 is not installed")
        target = self.start_threads(WORKERS)
        path = self.save(self.get_dump(target.pid))
        result = subprocess.run(
            [lldb, "--no-lldbinit", "--batch", "-c", path, "-o", "thread list", "-o", "bt all"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(result.returncode, 0, result.stderr)
        listing = result.stdout.partition("(lldb) bt all")[0]
        tids = {int(match, 16 if match.startswith("0x") else 10)
                for match in re.findall(r"tid = (0x[0-9a-f]+|\d+)", listing)}
        self.assertEqual(tids, {int(name) for name in os.listdir(f"/proc/{target.pid}/task")})
        self.assertEqual(result.stdout.count("`run_worker"), WORKERS)

    def test_of_the_host_itself(self):
        answer = self.get_dump(0)
        summary = check_minidump(self.save(answer))
        self.assertEqual(summary["violations"], [])
        self.assertEqual(summary["pid"], self.host.pid)
        self.assertGreaterEqual(len(summary["threads"]), 3)
        self.assertIn("filename=http-host-", answer.header("Content-Disposition"))

    def test_of_the_host_itself_holds_no_token(self):
        """Not a part of it, on any stack or in any register, however the token came."""
        if b"libasan" in read_proc(self.host.pid, "maps"):
            self.skipTest("a sanitizer's runtime leaves copies of what it checks")
        token = self.host.token.encode()
        parts = [token[start : start + 8] for start in range(len(token) - 7)]
        bearer = ("Authorization", f"Bearer {self.host.token}")
        cookie = ("Cookie", f"procinspect-{self.host.port}={self.host.token}")
        ends = threading.Event()

        def ask(path, *headers):
            connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=30)
            while not ends.is_set():
                connection.request("GET", path, headers=dict(headers))
                connection.getresponse().read()
            connection.close()

        # What comes before the token decides which part of it fills a vector register.
        queries = ("token=", "x=1&token=", "x=12345&token=", "xx=123456789&token=")
        requests = [("/", bearer), ("/", cookie)]
        requests += [(f"/?{query}{self.host.token}",) for query in queries]
        requests += [("/api/processes/1", bearer), ("/api/processes/99999999", cookie)]
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            asking = [pool.submit(ask, *request) for request in requests]
            try:
                for run in range(TOKEN_RUNS):
                    header = (bearer, cookie)[run % 2]
                    dump = self.host.get("/api/processes/0/dump", headers=[header], token=False)
                    self.assertEqual((dump.status, dump.body[:4]), (200, b"MDMP"))
                    self.assertEqual([part for part in parts if part in dump.body], [])
            finally:
                ends.set()
            for each in asking:
                each.result()

    def test_redact(self):
        variables = {"API_TOKEN": "a-token-of-this-test", "PLAIN": "a-plain-value", "N": "12345"}
        target = self.start(["/bin/sleep", "600"], env=variables)
        wait_until(lambda: read_proc(target.pid, "comm") == b"sleep\n")
        entries = {name: f"\0{name}={value}\0".encode() for name, value in variables.items()}
        hidden = {
            name: f"\0{name}={'*' * len(value)}\0".encode() for name, value in variables.items()
        }
        path = f"?dumpType={0x2:#x}"
        whole = self.get_dump(target.pid, path).body
        self.assertTrue(all(entry in whole for entry in entries.values()))
        answer = self.get_dump(target.pid, path + "&redact=true")
        redacted = answer.body
        for name, value in variables.items():
            self.assertIn(hidden[name], redacted)
            self.assertNotIn(entries[name], redacted)
            if len(value) >= 8:
                self.assertNotIn(value.encode(), redacted)
        self.assertIn(b'"kind":"redacted"', redacted)
        self.assertEqual(check_minidump(self.save(answer))["violations"], [])
        host = Host("--allow", "dump", "--redact", "*token")
        self.addCleanup(host.stop)
        named = self.get_dump(target.pid, path, host=host).body
        self.assertIn(entries["PLAIN"], named)
        self.assertIn(entries["N"], named)
        self.assertNotIn(variables["API_TOKEN"].encode(), named)

    def test_head_stops_nothing_and_names_no_length(self):
        target = self.start_threads(1)
        answer = self.host.get(f"/api/processes/{target.pid}/dump", method="HEAD")
        self.assertEqual(answer.status, 200)
        self.assertIsNone(answer.header("Content-Length"))
        self.assertIsNone(answer.header("X-Procinspect-Pause-Us"))
        self.assertEqual(answer.header("Content-Type"), "application/octet-stream")
        self.assertRegex(answer.header("Content-Disposition"), r"^attachment; filename=threads-")

    def test_head_sends_no_byte_of_a_body(self):
        """Curl doesn't look behind the header; the next answer on the connection starts there."""
        target = self.start_threads(1)
        request = (
            f"HEAD /api/processes/{target.pid}/dump HTTP/1.1\r\nHost: {self.host.authority}\r\n"
            f"Authorization: Bearer {self.host.token}\r\n\r\n"
        )
        received = b""
        with socket.create_connection(("127.0.0.1", self.host.port), timeout=30) as connection:
            connection.sendall(request.encode())
            while part := connection.recv(65536):
                received += part
        header, _, behind = received.partition(b"\r\n\r\n")
        self.assertRegex(header, rb"^HTTP/1\.1 200 ")
        self.assertNotRegex(header, rb"(?i)\r\n(Content-Length|Transfer-Encoding):")
        self.assertEqual(behind, b"")

    def test_the_target_goes_on(self):
        target = self.start_threads(WORKERS)
        for _ in range(10):
            self.get_dump(target.pid)
            self.assertIsNone(target.poll())
        self.wait_until_asleep(target)
        with open(f"/proc/{target.pid}/status", encoding="utf-8") as file:
            self.assertIn("TracerPid:\t0\n", file.read())
        target.stdin.close()  # it ends by itself when its input does
        self.assertEqual(target.wait(timeout=10), 0)

    def test_another_debugger_is_409(self):
        debugger, target = self.start_traced()
        self.problem(f"/api/processes/{target.pid}/dump", 409, str(debugger.pid))
        for path in ("", "/threads", "/modules"):
            self.ok(f"/api/processes/{target.pid}{path}")
        self.assertIsNone(target.poll())
        self.assertIsNone(debugger.poll())

    def test_a_limit_on_the_size_is_413(self):
        host = Host("--allow", "dump", "--max-dump-bytes", "20000")
        self.addCleanup(host.stop)
        target = self.start_threads(WORKERS)
        answer = host.get(f"/api/processes/{target.pid}/dump")
        self.assert_problem(answer, 413, r"\b20000\b")
        sizes = [int(number) for number in re.findall(r"\d+", answer.json()["detail"])]
        self.assertTrue(any(size > 20000 for size in sizes), sizes)
        self.assertEqual(host.stop(), (0, ""))

    def test_clients_that_go(self):
        target = self.start_threads(512)
        path = f"/api/processes/{target.pid}/dump"
        whole = self.get_dump(target.pid)
        self.assertGreater(len(whole.body), 1 << 20)
        before = self.host.idle_descriptors()
        # curl goes when the header tells it that the body is too large for it.
        gone = self.host.get(path, more=["max-filesize = 65536"])
        self.assertEqual((gone.status, gone.exit_code), (200, 63))
        for wait_s, reset in ((0, False), (0, True), (0.003, True), (0.05, True), (0.2, False)):
            connection = socket.create_connection(("127.0.0.1", self.host.port))
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {self.host.authority}\r\n"
                f"Authorization: Bearer {self.host.token}\r\n\r\n".encode()
            )
            time.sleep(wait_s)
            if reset:  # RST in place of FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        wait_until(lambda: self.host.descriptors() == before)
        self.assertIsNone(target.poll())
        self.wait_until_asleep(target)
        # The same in all but the texts, whose numbers (times, counts of switches) differ in length.
        again = self.get_dump(target.pid)
        self.assertEqual(int(again.header("Content-Length")), len(again.body))
        summary, expected = (check_minidump(self.save(each)) for each in (again, whole))
        self.assertEqual(summary["violations"], [])
        for member in ("threads", "modules", "memory"):
            self.assertEqual(summary[member], expected[member])

    def test_eight_at_once(self):
        target = self.start_threads(64)
        others = [self.start_threads(8) for _ in range(3)]
        pids = [target.pid] * 4 + [other.pid for other in others] + [0]
        before = self.host.idle_descriptors()
        with concurrent.futures.ThreadPoolExecutor(len(pids)) as pool:
            answers = list(pool.map(lambda pid: self.host.get(f"/api/processes/{pid}/dump"), pids))
        for pid, answer in zip(pids, answers):
            # Two at once of one process: the second meets the first one's helper as its debugger.
            self.assertIn(answer.status, (200, 409), answer.body[:300])
            if answer.status == 200:
                self.assertEqual(check_minidump(self.save(answer))["violations"], [])
            else:
                self.assertEqual(pid, target.pid)
        self.assertGreaterEqual([answer.status for answer in answers].count(200), 5)
        wait_until(lambda: self.host.descriptors() == before)
        self.assertIsNone(target.poll())

    def test_too_many_at_once_is_429(self):
        host = Host("--allow", "dump", "--max-dumps", "2")
        self.addCleanup(host.stop)
        target = self.start_threads(512)
        request = (
            f"GET /api/processes/{target.pid}/dump HTTP/1.1\r\nHost: {host.authority}\r\n"
            f"Authorization: Bearer {host.token}\r\n\r\n"
        ).encode()
        slow = []
        for _ in range(2):  # clients that read the first bytes and then nothing
            client = socket.socket()
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", host.port))
            client.sendall(request)
            self.assertEqual(client.recv(12), b"HTTP/1.1 200")
            slow.append(client)
        answer = host.get(f"/api/processes/{target.pid}/dump")
        self.assert_problem(answer, 429, r"\b2\b")
        self.assertGreater(int(answer.header("Retry-After")), 0)
        # Looking isn't limited.
        self.assertEqual(host.get(f"/api/processes/{target.pid}").status, 200)
        for client in slow:
            client.close()
        wait_until(lambda: host.get(f"/api/processes/{target.pid}/dump").status == 200)
        self.assertEqual(host.stop(), (0, ""))

    def test_a_slow_client_stops_neither_target_nor_others(self):
        target = self.start_threads(512)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", self.host.port))
            client.sendall(
                f"GET /api/processes/{target.pid}/dump HTTP/1.1\r\nHost: {self.host.authority}\r\n"
                f"Authorization: Bearer {self.host.token}\r\n\r\n".encode()
            )
            self.assertEqual(client.recv(12), b"HTTP/1.1 200")
            self.wait_until_asleep(target)
            begin = time.monotonic()
            self.ok(f"/api/processes/{target.pid}")
            self.assertLess(time.monotonic() - begin, 5)

    def test_the_host_is_killed_in_the_middle(self):
        host = Host("--allow", "dump")
        target = self.start_threads(512)
        with socket.create_connection(("127.0.0.1", host.port)) as client:
            client.sendall(
                f"GET /api/processes/{target.pid}/dump HTTP/1.1\r\nHost: {host.authority}\r\n"
                f"Authorization: Bearer {host.token}\r\n\r\n".encode()
            )
            time.sleep(0.01)
            host.process.send_signal(signal.SIGKILL)
            host.process.wait()
        host.stop()
        self.wait_until_asleep(target)
        with open(f"/proc/{target.pid}/status", encoding="utf-8") as file:
            self.assertIn("TracerPid:\t0\n", file.read())
        self.assertIsNone(target.poll())


if __name__ == "__main__":
    main()
