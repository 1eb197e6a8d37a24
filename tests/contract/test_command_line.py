"""The host's options, what it prints, and how it ends."""

import os
import signal
import socket
import subprocess
import tempfile
import time

from contract_case import ContractCase, main, wait_until
from contract_host import ORDINARY_USER_ID, Host, Programs

END_LIMIT_S = 3


def run(*options):
    return subprocess.run(
        [Programs.host, *options], capture_output=True, text=True, timeout=20, check=False
    )


class CommandLine(ContractCase):
    def test_mistakes_name_cause_and_remedy(self):
        taken = self.host.authority
        for options, pattern in (
            (["--listen", "8780"], "numeric address and a port"),
            (["--listen", "localhost:8780"], "numeric address and a port"),
            (["--listen", "127.0.0.1:65536"], "numeric address and a port"),
            (["--listen", "::1:8780"], "numeric address and a port"),
            (["--listen", taken], "in use; choose another"),
            (["--listen", "192.0.2.1:0"], "choose another"),
            (["--allow", "env,dump,sing"], "sing: give env, dump, kill"),
            (["--main-site", "-1"], "number from 1"),
            (["--main-site", "12x"], "number from 1"),
            (["--max-dumps", "0"], "number from 1"),
            (["--support-files", "all"], "none, host or target"),
            (["--max-connections", "99999999999999999999"], "number from 1"),
            (["--public-url", "ftp://x"], "http:// or https://"),
            (["--public-url", "https://user@x/"], "http:// or https://"),
            (["--public-url", "https:///"], "http:// or https://"),
            (["--public-url", "http:////x"], "http:// or https://"),
            (["--public-url", 'https://x/"y'], "http:// or https://"),
            (["--redact", ",".join("ABC" * 30)], "at most 64"),
            (["--redact", "PLAIN,SEC*ET"], r"'SEC\*ET'; use \* at the start or end"),
            (["--bogus"], "bogus"),
            (["--listen"], "argument"),
            (["--spool-directory", "spool"], "absolute"),
            (["word"], "not an option"),
        ):
            with self.subTest(options):
                result = run(*options)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, pattern)

    def test_help_and_version(self):
        result = run("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for option in ("--listen", "--token-file", "--allow", "--main-site", "--public-url",
                       "--own-user", "--redact", "--max-dump-bytes", "--max-pause-ms",
                       "--spool-directory", "--support-files"):
            self.assertIn(option, result.stdout)
        self.assertRegex(run("--version").stdout, r"^\d+\.\d+\.\d+\n$")

    def test_token_file(self):
        token = "Abc-._~0123456789"
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "token")
            for mode, content, pattern in (
                (0o640, token, "chmod 600"),
                (0o604, token, "chmod 600"),
                (0o600, "short\n", "16 to 256"),
                (0o600, "", "16 to 256"),
                (0o600, "a" * 257, "16 to 256"),
                (0o600, "0123456789abcdef\xe9", "16 to 256"),
                (0o600, "0123456789 abcdef", "16 to 256"),
            ):
                with open(path, "w", encoding="latin-1") as file:
                    file.write(content)
                os.chmod(path, mode)
                result = run("--listen", "127.0.0.1:0", "--token-file", path)
                self.assertEqual(result.returncode, 2, (mode, content))
                self.assertRegex(result.stderr, pattern)
            with open(path, "w", encoding="ascii") as file:
                file.write(token + "\r\nsecond line\n")
            host = Host("--token-file", path)
            self.addCleanup(host.stop)
            self.assertEqual(host.url_line, host.origin + "/\n")  # the file's token isn't printed
            bearer = [("Authorization", f"Bearer {token}")]
            self.assertEqual(host.get("/api/processes", headers=bearer, token=False).status, 200)
            self.assertEqual(host.get("/api/processes", token=False).status, 401)
            self.assertEqual(host.stop(), (0, ""))
        self.assertRegex(run("--token-file", path).stderr, "No such file")

    def test_a_wildcard_address_prints_loopback_and_warns(self):
        host = Host(listen="0.0.0.0:0")
        self.addCleanup(host.stop)
        self.assertRegex(host.url_line, r"^http://127\.0\.0\.1:\d+/")
        self.assertEqual(host.get("/").status, 200)
        status, stderr = host.stop()
        self.assertEqual(status, 0)
        self.assertRegex(stderr, r"^http-host: warning: .*without encryption.*--public-url\)\n$")

    def test_prints_one_line(self):
        host = Host()
        self.addCleanup(host.stop)
        host.get("/api/processes")
        host.process.terminate()
        self.assertEqual(host.process.stdout.read(), b"")
        self.assertEqual(host.stop(), (0, ""))

    def test_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            host = Host()
            self.addCleanup(host.stop)
            self.assertEqual(host.get("/api/processes/0").status, 200)
            begin = time.monotonic()
            host.process.send_signal(number)
            host.process.wait(timeout=20)
            self.assertLess(time.monotonic() - begin, END_LIMIT_S)
            self.assertEqual(host.stop(), (0, ""))

    def test_ends_in_the_middle_of_an_answer(self):
        host = Host("--allow", "dump")
        self.addCleanup(host.stop)
        target = self.start_threads(512)
        with socket.socket() as client, socket.create_connection(("127.0.0.1", host.port)):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", host.port))
            client.sendall(
                f"GET /api/processes/{target.pid}/dump HTTP/1.1\r\nHost: {host.authority}\r\n"
                f"Authorization: Bearer {host.token}\r\n\r\n".encode()
            )
            self.assertTrue(client.recv(16).startswith(b"HTTP/1.1 200"))
            begin = time.monotonic()
            host.process.terminate()
            host.process.wait(timeout=20)
            self.assertLess(time.monotonic() - begin, END_LIMIT_S)
        self.assertEqual(host.stop(), (0, ""))
        self.assertIsNone(target.poll())

    def test_policy_options(self):
        host = Host("--redact", "SECRET*,*_KEY", "--max-dump-bytes", "4096", "--main-site", "1")
        self.addCleanup(host.stop)
        self.assertEqual(host.get("/api/processes/0/environments/all").status, 403)
        self.assertRegex(host.get("/api/processes/0/dump").json()["detail"], "allow|policy")
        host = Host("--allow", "env,dump", "--redact", "SECRET*,*_key", "--max-dump-bytes", "4096")
        self.addCleanup(host.stop)
        variables = {"SECRET_A": "1", "MY_KEY": "2", "PLAIN": "3", "PATH": "/bin"}
        target = self.start(["/bin/sleep", "600"], env=variables)
        shown = host.get(f"/api/processes/{target.pid}/environments/all").json()
        command = host.get("/api/processes/0").json()["command_line"]
        self.assertIn(" --allow env,dump --redact SECRET*,*_key ", command)
        hidden = "[redacted]"
        self.assertEqual(shown, dict(variables, SECRET_A=hidden, MY_KEY=hidden))
        self.assert_problem(host.get(f"/api/processes/{target.pid}/dump"), 413, "4096")

    def test_own_user_only(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start another user's process")
        ids = [f"--reuid={ORDINARY_USER_ID}", "--clear-groups"]
        other = self.start(["setpriv", *ids, "sleep", "600"])
        wait_until(lambda: os.stat(f"/proc/{other.pid}").st_uid == ORDINARY_USER_ID)
        host = Host("--own-user")
        self.addCleanup(host.stop)
        answer = host.get(f"/api/processes/{other.pid}")
        self.assert_problem(answer, 403, "user")
        self.assertEqual(self.host.get(f"/api/processes/{other.pid}").status, 200)


if __name__ == "__main__":
    main()
