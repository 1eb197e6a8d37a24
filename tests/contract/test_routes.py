"""Paths and methods: aliases, spelling, 0 and -1, HEAD, and what each mistake answers."""

import os

from contract_case import ContractCase, main
from contract_host import Host

UNUSED_PID = 2**31 - 1  # above any pid_max


class Routes(ContractCase):
    host_options = ("--allow", "env,dump")

    def setUp(self):
        self.target = self.start(["/bin/sleep", "600"])
        self.base = f"/api/processes/{self.target.pid}"

    def test_aliases_name_themselves_in_hrefs(self):
        for prefix in ("/api/processes", "/api/diagnostics/processes", "/diagnostics/processes"):
            process = self.ok(f"{prefix}/{self.target.pid}")
            self.assertEqual(process["href"], f"{self.host.origin}{prefix}/{self.target.pid}")
            self.assertIn(process["href"], [item["href"] for item in self.ok(prefix)])

    def test_slash_at_the_end_and_case(self):
        expected = self.ok(self.base)["href"]
        for path in (
            self.base + "/",
            f"/API/Processes/{self.target.pid}",
            f"/Api/Diagnostics/PROCESSES/{self.target.pid}/",
            f"/%61pi/process%65s/{self.target.pid}",
            "/api/processes/" + "".join(f"%{ord(digit):02x}" for digit in str(self.target.pid)),
            "/api/processes/000" + str(self.target.pid),
        ):
            with self.subTest(path):
                self.assertEqual(self.ok(path)["href"].replace("/diagnostics", ""), expected)
        self.assertIn(expected, [item["href"] for item in self.ok("/api/processes/")])
        self.assertEqual(len(self.ok(self.base + "/THREADS/")), 1)
        everything = self.ok(self.base + "/environments/all")
        self.assertEqual(self.ok(self.base + "/Environments/ALL/"), everything)

    def test_case_in_queries(self):
        for query in ("allusers=TRUE", "ALLUSERS=True", "x=1&AllUsers=true&y", "all%55sers=tru%65"):
            self.assertIn(1, [item["id"] for item in self.ok("/api/processes?" + query)])
        self.problem("/api/processes?allusers=YES", 400, "allUsers")
        answer = self.host.get(self.base + "/dump?DumpType=0x0&FORMAT=Raw")
        self.assertEqual(answer.status, 200)

    def test_every_href_leads_back_to_its_object(self):
        process = self.ok(self.base)
        self.assertEqual(process["minidump"], process["href"] + "/dump")
        for item in process["threads"] + process["modules"]:
            self.assertEqual(self.ok(item["href"])["href"], item["href"])
        self.assertEqual(self.ok(process["href"])["id"], self.target.pid)
        parent = self.ok(process["parent"])
        self.assertEqual(parent["id"], os.getpid())
        self.assertIn(process["href"], parent["children"])
        thread = self.ok(process["threads"][0]["href"])
        self.assertEqual(thread["process"], process["href"])

    def test_zero_is_the_host(self):
        process = self.ok("/api/processes/0")
        self.assertEqual(process["id"], self.host.pid)
        self.assertTrue(process["href"].endswith(f"/api/processes/{self.host.pid}"))
        for item in process["threads"]:
            self.assertIn(f"/{self.host.pid}/threads/", item["href"])
        self.assertEqual(self.ok("/api/processes/0/modules"), process["modules"])

    def test_minus_one_is_the_main_site(self):
        self.problem("/api/processes/-1", 404, "--main-site")
        self.problem("/api/processes/-1/dump", 404, "--main-site")
        host = Host("--main-site", str(self.target.pid))
        self.addCleanup(host.stop)
        for path in ("/api/processes/-1", "/api/processes/-1/"):
            process = host.get(path).json()
            self.assertEqual(process["id"], self.target.pid)
            self.assertTrue(process["href"].endswith(f"/api/processes/{self.target.pid}"))
        self.target.kill()
        self.target.wait()
        answer = host.get("/api/processes/-1")
        self.assert_problem(answer, 404, f"Id of {self.target.pid} is not running")
        self.assertEqual(host.stop(), (0, ""))

    def test_head_is_get_without_the_body(self):
        for path in ("/api/processes", self.base, self.base + "/threads", self.base + "/modules",
                     self.base + "/environments/all"):
            with self.subTest(path):
                head = self.host.get(path, method="HEAD")
                got = self.host.get(path)
                self.assertEqual((head.status, got.status), (200, 200))
                self.assertEqual(head.header("Content-Type"), got.header("Content-Type"))
                self.assertEqual(int(got.header("Content-Length")), len(got.body))
                # A length may differ by what changed between the two.
                self.assertGreater(int(head.header("Content-Length")), 1)
                self.assert_common_headers(head)
        missing = self.host.get(f"/api/processes/{UNUSED_PID}", method="HEAD")
        self.assertEqual(missing.status, 404)

    def test_other_methods_are_405(self):
        for method, path, allow in (
            ("POST", "/api/processes", {"GET", "HEAD"}),
            ("DELETE", "/api/processes", {"GET", "HEAD"}),
            ("PUT", self.base, {"GET", "HEAD", "DELETE"}),
            ("PATCH", self.base + "/", {"GET", "HEAD", "DELETE"}),
            ("GET", self.base + "/stop", {"POST"}),
            ("HEAD", self.base + "/stop", {"POST"}),
            ("POST", self.base + "/threads", {"GET", "HEAD"}),
            ("DELETE", self.base + "/modules", {"GET", "HEAD"}),
            ("OPTIONS", self.base + "/dump", {"GET", "HEAD"}),
            ("NONSENSE", self.base + "/environments/all", {"GET", "HEAD"}),
            ("get", self.base, {"GET", "HEAD", "DELETE"}),
        ):
            with self.subTest(f"{method} {path}"):
                answer = self.host.get(path, method=method)
                self.assertEqual(answer.status, 405)
                self.assertEqual(set(answer.header("Allow").split(", ")), allow)
                if method != "HEAD":
                    self.assert_problem(answer, 405, "GET|POST")
        self.assertIsNone(self.target.poll())

    def test_what_is_not_there_is_404(self):
        pid = self.target.pid
        for path, pattern in (
            (f"/api/processes/{UNUSED_PID}",
             f"^Process with an Id of {UNUSED_PID} is not running.$"),
            (f"/api/processes/{UNUSED_PID}/threads", f"Id of {UNUSED_PID} is not running"),
            (f"/api/processes/{UNUSED_PID}/dump", f"Id of {UNUSED_PID} is not running"),
            (f"/api/processes/{UNUSED_PID}/environments/all", f"Id of {UNUSED_PID} is not running"),
            (f"{self.base}/threads/{pid + 1}", f"{pid + 1}"),
            (f"{self.base}/threads/0", "0"),
            (f"{self.base}/modules/1000", "1000"),
            (f"{self.base}/modules/0", "0"),
            (f"{self.base}/environments", "/api/processes"),
            (f"{self.base}/threads/{pid}/more", "/api/processes"),
            (f"{self.base}/dumps", "/api/processes"),
            (f"{self.base}//threads", "/api/processes"),
            ("//api/processes", "/api/processes"),
            ("/api", "/api/processes"),
            ("/api/processesX", "/api/processes"),
            ("/diagnostics", "/api/processes"),
            ("/favicon.ico", "/api/processes"),
        ):
            with self.subTest(path):
                self.problem(path, 404, pattern)

    def test_a_process_that_ended(self):
        pid = self.target.pid
        self.target.kill()
        self.target.wait()
        for part in ("", "/threads", "/modules", "/dump"):
            self.problem(self.base + part, 404, f"^Process with an Id of {pid} is not running.$")

    def test_what_this_version_cannot_do_is_501(self):
        for method, path, pattern in (
            ("GET", self.base + "/profile/start", "profiler"),
            ("POST", self.base + "/profile/stop", "profiler"),
            ("PUT", self.base + "/Profile/Start/", "profiler"),
            ("GET", self.base + "/dump?dumpType=0x40002", "[Dd]ump ?[Tt]ype.*0x40000 "),
            ("GET", self.base + "/dump?dumpType=0x1ffffff", "[Dd]ump ?[Tt]ype.*0x1"),
            ("GET", self.base + "/dump?format=core", "core"),
        ):
            with self.subTest(f"{method} {path}"):
                self.problem(path, 501, pattern, method=method)
        self.assertIsNone(self.target.poll())

    def test_redact(self):
        target = self.start(["/bin/sleep", "600"], env={"NAME": "value", "OTHER": ""})
        environment = f"/api/processes/{target.pid}/environments/all"
        hidden = {"NAME": "[redacted]", "OTHER": "[redacted]"}
        self.assertEqual(self.ok(environment + "?redact=true"), hidden)
        process = self.ok(f"/api/processes/{target.pid}?Redact=TRUE")
        self.assertEqual(process["environment_variables"], hidden)
        self.assertEqual(self.ok(environment + "?redact=false"), {"NAME": "value", "OTHER": ""})

    def test_the_body_of_a_post_is_ignored(self):
        for size in (0, 10, 60000):  # curl takes lines of 100 KiB
            answer = self.host.get(
                self.base + "/profile/start", method="POST", more=[f'data = "{"x" * size}"']
            )
            self.assert_problem(answer, 501, "profiler")


if __name__ == "__main__":
    main()
