"""The example host as a running process, and its clients: curl, and one that takes its time."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

START_TIMEOUT_S = 20
REQUEST_TIMEOUT_S = 60
ORDINARY_USER_ID = 65534

COMMON_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Programs:
    """Where the build put what the tests run; set once from the command line by contract_case."""

    host = None
    shared_object = None
    threads = None
    check_minidump = None


class Answer:
    """What curl got. exit_code is curl's: not 0 where the answer broke off."""

    def __init__(self, exit_code, header_text, body):
        self.exit_code = exit_code
        self.body = body
        blocks = [block for block in header_text.split("\r\n\r\n") if block]
        lines = blocks[-1].split("\r\n") if blocks else ["HTTP/1.1 000"]
        self.status = int(lines[0].split(" ")[1])
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line]

    def header(self, name):
        found = [value for each, value in self.headers if each.lower() == name.lower()]
        return found[0] if found else None

    def json(self):
        return json.loads(self.body.decode("utf-8"))


def curl(url, method="GET", headers=(), more=(), timeout_s=REQUEST_TIMEOUT_S):
    """Options go in by standard input, so that no token shows in a command line."""

    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    with tempfile.TemporaryDirectory() as folder:
        header_path = os.path.join(folder, "headers")
        body_path = os.path.join(folder, "body")
        config = ["silent", "show-error", "globoff", "path-as-is", 'noproxy = "*"']
        config += [f"max-time = {timeout_s}", "url = " + quoted(url)]
        config += ["head"] if method == "HEAD" else ["request = " + quoted(method)]
        config += ["header = " + quoted(f"{name}: {value}") for name, value in headers]
        config += [f"dump-header = {quoted(header_path)}", f"output = {quoted(body_path)}", *more]
        result = subprocess.run(
            ["curl", "--disable", "--config", "-"],
            input="\n".join(config).encode() + b"\n",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )

        def content(path):
            if not os.path.exists(path):
                return b""
            with open(path, "rb") as file:
                return file.read()

        header_text = content(header_path).decode("latin-1")
        body = b"" if method == "HEAD" else content(body_path)
        return Answer(result.returncode, header_text, body)


class PatientClient:
    """Asks for something, and takes what comes as it likes: little more is on its way."""

    RECEIVE_BYTES = 16 << 10

    def __init__(self, host, path):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.RECEIVE_BYTES)
        self.socket.settimeout(REQUEST_TIMEOUT_S)
        self.socket.connect(("127.0.0.1", host.port))
        lines = [f"GET {path} HTTP/1.1", f"Host: {host.authority}"]
        lines += [f"Authorization: Bearer {host.token}", "Connection: close"]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.stream = self.socket.makefile("rb")
        header = b""
        while (line := self.stream.readline()) not in (b"\r\n", b""):
            header += line
        self.answer = Answer(0, header.decode("latin-1"), b"")

    def read(self, size=-1):
        """So many bytes of the body, fewer only at its end; without a size all that is left."""
        return self.stream.read(size)

    def close(self):
        self.stream.close()
        self.socket.close()


class Host:
    """A host of its own, on a free port of the loopback address."""

    def __init__(
        self,
        *options,
        listen="127.0.0.1:0",
        user_id=None,
        environment=None,
        limit=None,
        launcher=(),
    ):
        self.folder = tempfile.mkdtemp(prefix="procinspect-contract-")
        self.stderr_file = open(os.path.join(self.folder, "stderr"), "w+b")
        command = [self.install() if user_id is not None else Programs.host]
        if limit is not None:  # as prlimit's option
            command = ["prlimit", limit, *command]
        if user_id is not None:
            ids = [f"--reuid={user_id}", f"--regid={user_id}", "--clear-groups"]
            command = ["setpriv", *ids, "--inh-caps=-all", *command]
        command = [*launcher, *command]  # which executes what follows it
        variables = {**os.environ, **(environment or {})}
        for name in {"WEBSITE_INSTANCE_ID", "LD_LIBRARY_PATH"} - set(environment or {}):
            variables.pop(name, None)
        self.process = subprocess.Popen(
            [*command, "--listen", listen, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.stderr_file,
            env=variables,
            cwd="/",
        )
        self.url_line = self.process.stdout.readline().decode()
        match = re.fullmatch(r"(http://[^/]+)/(?:\?token=([0-9a-f]{32}))?\n", self.url_line)
        if match is None:
            raise RuntimeError(f"the host printed {self.url_line!r}, and {self.stop()[1]!r}")
        self.origin, self.token = match.groups()
        self.authority = self.origin.removeprefix("http://")
        self.port = int(self.authority.rsplit(":", 1)[1])
        self.pid = self.process.pid

    def install(self):
        """A copy that an ordinary user can reach, at the same place beside its library."""
        os.chmod(self.folder, 0o755)
        for kind, path in (("examples", Programs.host), ("lib", Programs.shared_object)):
            os.mkdir(os.path.join(self.folder, kind))
            name = "libprocinspect.so.0" if kind == "lib" else "http-host"
            shutil.copy(path, os.path.join(self.folder, kind, name))
        return os.path.join(self.folder, "examples", "http-host")

    def stderr(self):
        self.stderr_file.seek(0)
        return self.stderr_file.read().decode(errors="replace")

    def get(self, path, method="GET", headers=(), token=True, **more):
        if token:
            headers = [("Authorization", f"Bearer {self.token}"), *headers]
        url = path if path.startswith("http") else self.origin + path
        return curl(url, method, headers, **more)

    def descriptors(self):
        """What its descriptors lead to; sorted, with repetitions."""
        folder = f"/proc/{self.pid}/fd"
        found = []
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(os.path.join(folder, name)))
            except FileNotFoundError:
                continue
        return sorted(re.sub(r"\d+", "N", link) for link in found)

    def descriptors_at_rest(self):
        """The same, while none of its threads is beginning: libc then asks how many processors there
        are."""
        while True:
            found = self.descriptors()
            if not any(link.startswith("/sys/devices/system/cpu/") for link in found):
                return found

    def idle_descriptors(self):
        """The same, once it has closed its connections: only the listening socket is left."""
        for _ in range(1000):
            found = self.descriptors()
            if found.count("socket:[N]") == 1:
                return found
            time.sleep(0.01)
        raise AssertionError(f"connections stay open: {found}")

    def stop(self):
        """Ends it; gives its exit status and what it wrote to stderr. Repeating is harmless."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=START_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        if not self.stderr_file.closed:
            self.last_stderr = self.stderr()
            self.stderr_file.close()
            shutil.rmtree(self.folder)
        return self.process.returncode, self.last_stderr
