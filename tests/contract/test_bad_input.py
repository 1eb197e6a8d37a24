"""What clients send by mistake or on purpose: refused with a text, target and host unharmed."""

import socket

from contract_case import ContractCase, main, wait_until
from contract_host import Answer

MIB = 1 << 20


class BadInput(ContractCase):
    def setUp(self):
        self.target = self.start(["/bin/sleep", "600"])
        self.base = f"/api/processes/{self.target.pid}"

    def tearDown(self):
        self.assertIsNone(self.target.poll())
        self.assertIsNone(self.host.process.poll())

    def raw(self, target, method=b"GET", more=b"", token=True, timeout_s=30):
        """A request as bytes, for what curl doesn't send: its lines are at most 100 KiB."""
        bearer = f"Authorization: Bearer {self.host.token}\r\n".encode() if token else b""
        head = b"%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s\r\n" % (
            method, target, self.host.authority.encode(), bearer, more
        )
        received = b""
        address = ("127.0.0.1", self.host.port)
        with socket.create_connection(address, timeout=timeout_s) as connection:
            try:
                connection.sendall(head)
                while part := connection.recv(65536):
                    received += part
            except ConnectionError:
                pass  # refused before it was read to its end
        header, _, body = received.partition(b"\r\n\r\n")
        return Answer(0, header.decode("latin-1"), body) if header else None

    def test_process_ids(self):
        for text in ("-2", "-0", "+1", "1.0", "1e3", "0x10", "abc", "12abc", "%201", "1%20", "-",
                     "--1", "2147483648", "4294967297", "99999999999999999999", "1,2", "%c3%a9",
                     "-9223372036854775808", "%EF%BC%91", "self", "*", ".."):
            with self.subTest(text):
                self.problem(f"/api/processes/{text}", 400, "process id")
                self.problem(f"/api/processes/{text}/threads", 400, "process id")
                self.problem(f"/api/processes/{text}/dump", 400, "process id")

    def test_thread_ids_and_bases(self):
        for text in ("-1", "abc", "0x1", "%20", "1%20", "99999999999999999999"):
            self.problem(f"{self.base}/threads/{text}", 400, "thread id")
        for text in ("-1", "xyz", "0x", "%20", "1%20", "10000000000000000", "0x0x1", "+1"):
            self.problem(f"{self.base}/modules/{text}", 400, "base address")
        self.problem(f"{self.base}/modules/ffffffffffffffff", 404, "ffffffffffffffff")

    def test_empty_segments(self):
        for path in ("/api/processes//", "/api/processes//threads", f"{self.base}/threads//",
                     f"{self.base}/environments//", f"{self.base}//modules"):
            answer = self.host.get(path)
            self.assertIn(answer.status, (400, 404), path)
            self.assert_problem(answer, answer.status, ".", path)

    def test_percent_encoding_cut_short(self):
        for path in ("/api/processes/%", "/api/processes/%3", f"{self.base}%", f"{self.base}/%zz",
                     "/api/%/x", "/%", f"{self.base}/environments/%f", f"{self.base}/modules/%0g"):
            with self.subTest(path):
                self.problem(path, 400, "%")
        for query in ("allUsers=%", "allUsers=%4", "%=1", "x=%zz"):
            with self.subTest(query):
                self.problem("/api/processes?" + query, 400, "%")

    def test_nul_and_newline(self):
        pid = self.target.pid
        for escape in ("%00", "%0a", "%0d%0a", "%01", "%7f", "%ff"):
            with self.subTest(escape):
                self.problem(f"/api/processes/{pid}{escape}", 400, "process id")
                self.problem(f"/api/processes/{escape}{pid}", 400, "process id")
                self.problem(f"/api/processes/{pid}/threads{escape}", 404, "api/processes")
                self.problem(f"/api/processes{escape}", 404, "api/processes")
                self.problem(f"{self.base}/threads/{pid}{escape}", 400, "thread id")
                self.problem(f"{self.base}/modules/1000{escape}", 400, "base address")
                self.problem(f"{self.base}/dump?dumpType=0{escape}", 400, "dumpType")
                self.problem(f"/api/processes?allUsers=true{escape}", 400, "allUsers")
                answer = self.host.get(f"{self.base}/environments/a{escape}b")
                self.assertIn(answer.status, (200, 400))
        self.problem(f"{self.base}/environments/%00", 400, "NUL")

    def test_query_values(self):
        for path, pattern in (
            ("/api/processes?allUsers=yes", "allUsers"),
            ("/api/processes?allUsers=", "allUsers"),
            ("/api/processes?allUsers=true&ALLUSERS=true", "once"),
            (f"{self.base}?redact=2", "redact"),
            (f"{self.base}/environments/all?redact=maybe", "redact"),
            (f"{self.base}/dump?dumpType=mini", "dumpType"),
            (f"{self.base}/dump?dumpType=-1", "dumpType"),
            (f"{self.base}/dump?dumpType=0x2000000", "0x2000000"),
            (f"{self.base}/dump?dumpType=33554432", "0x2000000"),
            (f"{self.base}/dump?dumpType=99999999999999999999", "dumpType"),
            (f"{self.base}/dump?format=tar", "raw, zip or core"),
            (f"{self.base}/dump?dryRun=perhaps", "dryRun"),
            (f"{self.base}/dump?dumpType=0&dumpType=0", "once"),
        ):
            with self.subTest(path):
                self.problem(path, 400, pattern)

    def test_a_mebibyte_of_anything(self):
        long = b"a" * MIB
        base = self.base.encode()
        for target in (
            b"/" + long,
            b"/api/processes/" + b"1" * MIB,
            base + b"/threads/" + b"9" * MIB,
            base + b"/modules/" + b"f" * MIB,
            base + b"/environments/" + long,
            base + b"/environments/" + b"%00" * (MIB // 3),
            b"/api/processes?allUsers=" + long,
            base + b"/dump?dumpType=" + b"0" * MIB,
            b"/api/processes?" + b"%41" * (MIB // 3),
            b"/" + b"/" * MIB,
        ):
            with self.subTest(target[:40]):
                self.assert_problem(self.raw(target), 400, "bytes long")
        answer = self.raw(b"/" + long, token=False)
        self.assert_problem(answer, 401, "token")

    def test_a_mebibyte_of_arguments(self):
        empty, named = b"/api/processes?" + b"&" * MIB, b"/api/processes?" + b"a=b&" * (MIB // 4)
        self.assertEqual(self.raw(empty).status, 200)
        self.assert_problem(self.raw(empty + b"allUsers=perhaps"), 400, "allUsers")
        self.assert_problem(self.raw(named), 400, "bytes long")
        for target in (empty, named):
            self.assert_problem(self.raw(target, token=False), 401, "token")

    def test_more_than_the_server_holds(self):
        """libmicrohttpd refuses these itself, or cuts the connection; the host lives on."""
        for target, more in (
            (b"/" + b"a" * (4 * MIB), b""),
            (b"/api/processes", b"X-Long: " + b"a" * (4 * MIB) + b"\r\n"),
            (b"/api/processes", b"A: b\r\n" * 200000),
            (b"/api/processes", b"Cookie: " + b"a=b; " * 250000 + b"\r\n"),
        ):
            for token in (True, False):
                with self.subTest(target[:20] + more[:20]):
                    answer = self.raw(target, more=more, token=token)
                    if answer is not None:
                        self.assertIn(answer.status, (400, 401, 413, 414, 431))
        self.ok(self.base)

    def test_no_http(self):
        for text in (b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 5000,
                     b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.host.port), timeout=10) as connection:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                try:
                    self.assertNotIn(b" 200 ", connection.recv(4096))
                except ConnectionError:
                    pass
        self.ok(self.base)

    def test_raw_bytes_in_the_path(self):
        for target, statuses in (
            (self.base.encode() + b"\xff\xfe", (400,)),
            (b"/api/processes/\xc3\xa9", (400,)),
            (b"/api/processes/\x01", (400,)),
        ):
            answer = self.raw(target)
            self.assertIn(answer.status, statuses, target)
            self.assert_problem(answer, answer.status, ".")

    def test_raw_nul(self):
        """libmicrohttpd hands over what comes before it: a process's number may be cut there."""
        pid = b"%d" % self.target.pid
        for target in (b"/a\0b", b"/\0", b"\0", b"/api/processes\0", b"/api/processes/\0" + pid,
                       b"/api/processes/" + pid + b"\0", b"/api/processes/" + pid + b"\x000",
                       b"/api/processes?allUsers=true\0", b"/api/processes?\0&allUsers=true",
                       b"/api/processes\0?allUsers=true", b"/api/\0processes?\0\0"):
            for method in (b"GET", b"DELETE", b"POST"):
                with self.subTest(f"{method} {target}"):
                    answer = self.raw(target, method=method)
                    self.assert_problem(answer, 400, "NUL.*Send it without")
        self.ok(self.base)

    def test_nothing_leaks(self):
        self.host.get(self.base)
        before = self.host.idle_descriptors()
        for path in ("/api/processes/x", self.base + "/threads/x", self.base + "/dump?format=zip",
                     self.base + "/dump?dumpType=x", "/api/processes/2147483647/modules",
                     self.base + "/modules/1", self.base + "/environments/all",
                     self.base + "/dump"):
            self.host.get(path)
        wait_until(lambda: self.host.descriptors() == before)

    def test_many_connections(self):
        """More than the host takes at once, all silent: those that ask are served when some go."""
        silent = [socket.create_connection(("127.0.0.1", self.host.port)) for _ in range(40)]
        try:
            self.ok(self.base)
        finally:
            for connection in silent:
                connection.close()
        self.ok(self.base)


if __name__ == "__main__":
    main()
