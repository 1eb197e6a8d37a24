"""Dumps as zip over HTTP: headers, what is in them, clients that are slow or go, several at once."""

import concurrent.futures
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import zipfile

from contract_case import ContractCase, main, wait_until
from contract_host import Programs

WORKERS = 24


def check_minidump(data):
    """The rules of a minidump that these bytes break."""
    with tempfile.NamedTemporaryFile(suffix=".dmp") as file:
        file.write(data)
        file.flush()
        result = subprocess.run(
            [sys.executable, Programs.check_minidump, file.name],
            capture_output=True,
            text=True,
            check=False,
        )
    if not result.stdout:
        raise AssertionError(result.stderr)
    return json.loads(result.stdout)


class Zips(ContractCase):
    host_options = ("--allow", "env,dump", "--max-dumps", "32")

    def host_threads(self):
        return len(os.listdir(f"/proc/{self.host.pid}/task"))

    def get_zip(self, pid, query=""):
        answer = self.host.get(f"/api/processes/{pid}/dump?format=zip{query}")
        self.assertEqual((answer.status, answer.exit_code), (200, 0), answer.body[:500])
        return answer

    def the_dump_in(self, answer):
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            names = archive.namelist()
            self.assertEqual((names[0], names[-1]), ("minidump.dmp", "manifest.json"))
            manifest = json.loads(archive.read("manifest.json"))
            self.assertEqual([each["name"] for each in manifest["files"]], names[:-1])
            for each in manifest["files"]:
                info = archive.getinfo(each["name"])
                self.assertEqual(
                    (each["size_bytes"], each["crc32"]), (info.file_size, f"0x{info.CRC:08x}")
                )
            return archive.read("minidump.dmp")

    def ask(self, path, receive_bytes):
        """A client that has read so many bytes of the answer, and nothing more."""
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.host.port))
        client.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {self.host.authority}\r\n"
            f"Authorization: Bearer {self.host.token}\r\n\r\n".encode()
        )
        got = b""
        while len(got) < receive_bytes:
            got += client.recv(receive_bytes - len(got))
        self.assertEqual(got[:12], b"HTTP/1.1 200")
        return client

    def test_headers(self):
        target = self.start_threads(WORKERS)
        answer = self.get_zip(target.pid)
        self.assert_common_headers(answer)
        self.assertEqual(answer.header("Content-Type"), "application/zip")
        self.assertIsNone(answer.header("Content-Length"))
        self.assertEqual(answer.header("Transfer-Encoding"), "chunked")
        self.assertRegex(
            answer.header("Content-Disposition"),
            r"^attachment; filename=threads-[A-Za-z0-9._-]*(-\d\d){5}\.zip$",
        )
        self.assertGreater(int(answer.header("X-Procinspect-Pause-Us")), 0)

    def test_head(self):
        target = self.start_threads(WORKERS)
        path = f"/api/processes/{target.pid}/dump?format=zip"
        head = self.host.get(path, method="HEAD")
        self.assertEqual(head.status, 200)
        self.assertEqual(head.header("Content-Type"), "application/zip")
        self.assertIsNone(head.header("Content-Length"))
        self.assertIsNone(head.header("X-Procinspect-Pause-Us"))
        self.assertRegex(head.header("Content-Disposition"), r"\.zip$")

    def test_the_dump_is_in_it(self):
        target = self.start_threads(WORKERS)
        for query in ("", "&dumpType=2", "&dumpType=0x1804"):
            with self.subTest(query):
                summary = check_minidump(self.the_dump_in(self.get_zip(target.pid, query)))
                self.assertEqual(summary["violations"], [])
                self.assertEqual(summary["pid"], target.pid)
                self.assertEqual(len(summary["threads"]), WORKERS + 1)
        raw = self.host.get(f"/api/processes/{target.pid}/dump?dumpType=2")
        self.assertLess(len(self.get_zip(target.pid, "&dumpType=2").body), len(raw.body) / 2)

    def test_of_the_host_itself(self):
        summary = check_minidump(self.the_dump_in(self.get_zip(0)))
        self.assertEqual(summary["violations"], [])
        self.assertEqual(summary["pid"], self.host.pid)

    def test_unknown_formats_are_400(self):
        target = self.start_threads(1)
        for value in ("zap", "zip,raw", "application/zip", "zipzip", "1"):
            with self.subTest(value):
                self.problem(
                    f"/api/processes/{target.pid}/dump?format={value}", 400, "raw, zip or core"
                )

    def test_clients_that_go_leave_nothing(self):
        target = self.start_threads(512)
        path = f"/api/processes/{target.pid}/dump?format=zip&dumpType=2"
        before = self.host.idle_descriptors()
        threads = self.host_threads()
        for receive_bytes, reset in ((12, False), (12, True), (2000, True), (20000, False)):
            client = self.ask(path, receive_bytes)
            if reset:  # RST in place of FIN
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        wait_until(lambda: self.host.descriptors() == before)
        wait_until(lambda: self.host_threads() == threads)
        self.assertIsNone(target.poll())
        self.assertEqual(check_minidump(self.the_dump_in(self.get_zip(target.pid)))["violations"], [])

    def test_eight_at_once_some_of_them_slow(self):
        targets = [self.start_threads(64) for _ in range(8)]
        paths = [f"/api/processes/{each.pid}/dump?format=zip&dumpType=2" for each in targets]
        before = self.host.idle_descriptors()
        threads = self.host_threads()
        slow = [self.ask(path, 12) for path in paths[:3]]
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(self.host.get, paths[3:]))
        for target, answer in zip(targets[3:], answers):
            self.assertEqual((answer.status, answer.exit_code), (200, 0))
            summary = check_minidump(self.the_dump_in(answer))
            self.assertEqual((summary["violations"], summary["pid"]), ([], target.pid))
        slow[0].close()
        for client in slow[1:]:  # they read on, to the end
            text = b""
            while not text.endswith(b"\r\n0\r\n\r\n"):
                part = client.recv(65536)
                self.assertNotEqual(part, b"", "the connection was cut")
                text = (text + part)[-100:]
            self.assertTrue(re.search(rb"PK\x05\x06", text), text)
            client.close()
        wait_until(lambda: self.host.descriptors() == before)
        wait_until(lambda: self.host_threads() == threads)


if __name__ == "__main__":
    main()
