"""Who may ask: the token and its cookie, Host, requests from other sites; and the page at /."""

import re
import socket

from contract_case import ContractCase, main
from contract_host import Host

PUBLIC_URL = "https://site.example/tools"


class Guard(ContractCase):
    host_options = ("--allow", "env,dump", "--public-url", PUBLIC_URL)

    def asks(self, *headers, path="/api/processes/0", **more):
        return self.host.get(path, headers=headers, **more)

    def cookie(self, value=None):
        name = f"procinspect-{self.host.port}"
        return ("Cookie", f"other=1; {name}={self.host.token if value is None else value}")

    def test_no_token_is_401_with_a_challenge(self):
        for path in ("/", "/api/processes", "/api/processes/0/dump", "/nothing"):
            answer = self.problem(path, 401, r"token.*Bearer", token=False)
            self.assertRegex(answer.header("WWW-Authenticate"), r"^Bearer")

    def test_wrong_tokens_are_401(self):
        token = self.host.token
        for wrong in ("", token[:-1], token + "0", token.upper() + "x", "0" * len(token)):
            bearer = ("Authorization", f"Bearer {wrong}")
            with self.subTest(wrong):
                self.assert_problem(self.asks(bearer, token=False), 401, "token")
                self.assert_problem(self.asks(self.cookie(wrong), token=False), 401, "token")
                answer = self.asks(path=f"/api/processes?token={wrong}", token=False)
                self.assert_problem(answer, 401, "token")
        basic = ("Authorization", f"Basic {token}")
        self.assert_problem(self.asks(basic, token=False), 401, "token")

    def test_a_wrong_bearer_is_not_saved_by_a_right_cookie(self):
        answer = self.asks(("Authorization", "Bearer no"), self.cookie(), token=False)
        self.assert_problem(answer, 401, "token")

    def test_the_cookie_is_enough(self):
        self.assertEqual(self.asks(self.cookie(), token=False).status, 200)

    def test_the_token_in_the_url_becomes_a_cookie(self):
        token = self.host.token
        for path, location in (
            (f"/?token={token}", "./"),
            (f"/api/processes?allUsers=true&token={token}&x=%20",
             "./processes?allUsers=true&x=%20"),
            (f"/api/processes/?token={token}", "./"),
            (f"//other.example/a:b?token={token}&token={token}", "./a:b"),
        ):
            with self.subTest(path):
                answer = self.asks(path=path, token=False)
                self.assertEqual(answer.status, 303)
                self.assertEqual(answer.header("Location"), location)
                self.assert_common_headers(answer)
                name, *attributes = answer.header("Set-Cookie").split("; ")
                self.assertEqual(name, f"procinspect-{self.host.port}={token}")
                self.assertEqual(sorted(attributes), ["HttpOnly", "Path=/", "SameSite=Strict"])
                self.assertEqual(answer.body, b"")

    def test_the_cookie_is_secure_behind_tls(self):
        path = f"/?token={self.host.token}"
        answer = self.asks(("Host", "site.example"), path=path, token=False)
        self.assertIn("; Secure", answer.header("Set-Cookie"))

    def test_a_browser_follows_the_printed_url(self):
        answer = self.host.get(
            self.host.url_line.strip(), token=False, more=["location", 'cookie-jar = "/dev/null"']
        )
        self.assertEqual(answer.status, 200)
        self.assertIn(b"api/processes", answer.body)

    def test_a_token_in_the_url_is_for_looking_only(self):
        path = f"/api/processes/0/stop?token={self.host.token}"
        self.assert_problem(self.asks(path=path, method="POST", token=False), 401, "Bearer")

    def test_only_own_names_as_host(self):
        port = self.host.port
        for own in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", "site.example",
                    "site.example:443"):
            with self.subTest(own):
                self.assertEqual(self.asks(("Host", own)).status, 200)
        for other in ("127.0.0.1", "evil.example", f"evil.example:{port}", f"127.0.0.1:{port}.evil",
                      f"127.0.0.1:{port + 1}", f"127.0.0.1:{port}:80", "site.example:80",
                      "site.example:4430", "site.example:443:443", ""):
            with self.subTest(other):
                # "Host;" is how curl sends one without a value.
                without = {"more": ['header = "Host;"']}
                answer = self.asks(("Host", other)) if other else self.asks(**without)
                self.assert_problem(answer, 421, "Host.*--public-url")

    def test_the_port_of_the_scheme_may_be_named(self):
        """However the public URL has it."""
        for url, own, other in (
            ("http://site.example", "site.example:80", "site.example:443"),
            ("http://site.example:80", "site.example:80", "site.example:443"),
            ("http://[2001:db8::80]", "[2001:db8::80]:80", "[2001:db8::80]:443"),
            ("https://site.example:443", "site.example:443", "site.example:80"),
            ("https://site.example:8443", "site.example:8443", "site.example:8443:443"),
        ):
            with self.subTest(url):
                host = Host("--public-url", url)
                self.addCleanup(host.stop)
                without_port = own.removesuffix(":80").removesuffix(":443")
                for name, status in ((own, 200), (without_port, 200), (other, 421)):
                    answer = host.get("/api/processes/0", headers=[("Host", name)])
                    self.assertEqual(answer.status, status, name)
                self.assertEqual(host.stop(), (0, ""))

    def test_no_host_at_all(self):
        for version in ("1.0", "1.1"):
            with socket.create_connection(("127.0.0.1", self.host.port), timeout=10) as connection:
                text = f"GET / HTTP/{version}\r\nAuthorization: Bearer {self.host.token}\r\n\r\n"
                connection.sendall(text.encode())
                self.assertRegex(connection.recv(64), rb"^HTTP/1\.[01] 421 ")

    def test_requests_from_other_sites_are_refused(self):
        origin = self.host.origin
        for header in (
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Site", "same-site"),
            ("Origin", "https://evil.example"),
            ("Origin", "null"),
            ("Origin", origin + "0"),
            ("Origin", origin.replace("http:", "https:")),
            ("Referer", "https://evil.example/" + origin),
            ("Referer", origin + ".evil.example/"),
        ):
            for method, path in (
                ("GET", "/api/processes"),
                ("GET", "/api/processes/0/environments/all"),
                ("GET", "/api/processes/0/dump"),
                ("DELETE", "/api/processes/0"),
                ("POST", "/api/processes/0/stop"),
                ("GET", f"/?token={self.host.token}"),
                ("OPTIONS", "/api/processes"),
            ):
                with self.subTest(f"{header} {method} {path}"):
                    answer = self.asks(header, path=path, method=method)
                    self.assert_problem(answer, 403, "another site")
                    self.assertIsNone(answer.header("Set-Cookie"))

    def test_own_pages_may_ask(self):
        origin = self.host.origin
        for header in (
            ("Sec-Fetch-Site", "none"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Origin", origin),
            ("Origin", f"http://localhost:{self.host.port}"),
            ("Origin", "https://site.example"),
            ("Referer", origin + "/api/processes?x"),
        ):
            with self.subTest(header):
                self.assertEqual(self.asks(header, self.cookie(), token=False).status, 200)

    def test_nothing_is_offered_to_other_sites(self):
        answer = self.asks(("Origin", self.host.origin))
        self.assertFalse([n for n, _ in answer.headers if n.lower().startswith("access-control")])

    def test_the_page_links_to_routes_that_answer(self):
        answer = self.host.get("/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("Content-Type"), "text/html; charset=utf-8")
        self.assert_common_headers(answer)
        links = re.findall(r'href="([^"]+)"', answer.body.decode())
        self.assertGreaterEqual(len(links), 6)
        for link in links:
            expected = 404 if link.endswith("/-1") else 200  # no main site is configured here
            self.assertEqual(self.host.get("/" + link).status, expected, link)
        self.assertEqual(self.host.get("/", method="HEAD").status, 200)

    def test_the_page_has_no_other_methods(self):
        for method in ("PUT", "POST", "DELETE", "OPTIONS", "PATCH"):
            for more in ({}, {"more": ['data = "a body"']}):
                answer = self.problem("/", 405, "GET or HEAD", method=method, **more)
                self.assertEqual(answer.header("Allow"), "GET, HEAD", method)
        self.problem("/", 401, "token", method="PUT", token=False)

    def test_hrefs_start_with_the_public_url(self):
        href = self.ok("/api/processes/0")["href"]
        self.assertEqual(href, f"{PUBLIC_URL}/api/processes/{self.host.pid}")

    def test_the_token_is_nowhere_in_an_answer_or_in_proc(self):
        token = self.host.token.encode()
        for part in ("/0", "/0/environments/all", "?x=%00"):
            path = "/api/processes" + part
            answer = self.host.get(path)
            self.assertEqual(answer.status, 200)
            self.assertNotIn(token, answer.body, path)
        for name in ("cmdline", "environ"):
            with open(f"/proc/{self.host.pid}/{name}", "rb") as file:
                self.assertNotIn(token, file.read())


class OtherAddresses(ContractCase):
    """Where hrefs and names come from without --public-url, and on IPv6."""

    def test_hrefs_start_with_the_name_that_was_asked(self):
        for name in (f"127.0.0.1:{self.host.port}", f"localhost:{self.host.port}"):
            href = self.ok("/api/processes/0", headers=[("Host", name)])["href"]
            self.assertEqual(href, f"http://{name}/api/processes/{self.host.pid}")

    def test_ipv6(self):
        try:
            host = Host(listen="[::1]:0")
        except RuntimeError as error:
            self.skipTest(f"no IPv6 here: {error}")
        self.addCleanup(host.stop)
        self.assertRegex(host.url_line, r"^http://\[::1\]:\d+/\?token=")
        self.assertEqual(host.get("/api/processes").status, 200)
        self.assertEqual(host.stop(), (0, ""))

    def test_instances(self):
        host = Host(environment={"WEBSITE_INSTANCE_ID": "instance-1"})
        self.addCleanup(host.stop)
        answer = host.get("/api/processes")
        self.assertEqual(answer.header("X-Instance-Id"), "instance-1")
        self.assertRegex(answer.header("Set-Cookie"), r"^ARRAffinity=instance-1;")
        answer = host.get("/api/processes", headers=[("Cookie", "ARRAffinity=instance-1")])
        self.assertEqual((answer.status, answer.header("Set-Cookie")), (200, None))
        self.assertIsNone(self.host.get("/api/processes").header("X-Instance-Id"))


if __name__ == "__main__":
    main()
