"""The debugger's support files in zips of real runtimes: CPython and the JDK, as they are installed."""

import glob
import io
import json
import os
import subprocess
import zipfile

from contract_case import ContractCase, main, wait_until

AUTO_LOAD = "/usr/share/gdb/auto-load"
# What loads libstdc++, whose script comes with the library itself.
SLEEPS_WITH_LIBSTDCXX = "import ctypes, time; ctypes.CDLL('libstdc++.so.6'); time.sleep(600)"
# Waits for a debugger before it runs anything, so that no program has to be compiled.
WAITING_JVM = "-agentlib:jdwp=transport=dt_socket,server=y,suspend=y,address=127.0.0.1:0"


def is_roots_alone(path):
    """Whether root alone can write the file, and what is above it."""
    while True:
        status = os.lstat(path)
        if status.st_uid != 0 or (not os.path.islink(path) and status.st_mode & 0o022):
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def module_of(pid, name):
    """The path of the module with this in its name."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            path = line.split(maxsplit=5)[5:]
            if path and name in os.path.basename(path[0]):
                return path[0].strip()
    return None


class SupportFiles(ContractCase):
    host_options = ("--allow", "dump")

    def start(self, *command, **options):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def get_zip(self, pid):
        answer = self.host.get(f"/api/processes/{pid}/dump?format=zip")
        self.assertEqual((answer.status, answer.exit_code), (200, 0), answer.body[:500])
        archive = zipfile.ZipFile(io.BytesIO(answer.body))
        self.assertIsNone(archive.testzip())
        return archive, json.loads(archive.read("manifest.json"))

    def assert_in_zip(self, archive, manifest, path, module):
        line = next(each for each in manifest["files"] if each["path"] == path)
        self.assertEqual(line["module_path"], module)
        self.assertEqual((line["is_whole"], line["from_target"]), (True, False))
        with open(path, "rb") as file:
            self.assertEqual(archive.read(line["name"]), file.read())

    def test_cpython_and_libstdcxx(self):
        python = self.start("/usr/bin/python3", "-c", SLEEPS_WITH_LIBSTDCXX)
        wait_until(lambda: module_of(python.pid, "libstdc++"))
        archive, manifest = self.get_zip(python.pid)
        found = {"libstdc++": 0, "python": 0}
        for name in found:
            module = module_of(python.pid, name)
            places = [f"{module}-gdb.py", f"{AUTO_LOAD}{module}-gdb.py"]
            there = [place for place in places if os.path.exists(place)]
            if there and is_roots_alone(os.path.realpath(there[0])):
                self.assert_in_zip(archive, manifest, there[0], module)
                found[name] = 1
        if not found["python"]:  # Debian has it in python3-dbg
            line = next(each for each in manifest["missing"] if each["runtime"] == "CPython")
            self.assertEqual(line["path"], f"{module_of(python.pid, 'python')}-gdb.py")
            self.assertEqual(line["is_there"], False)
        self.assertTrue(found["libstdc++"] or not glob.glob(f"{AUTO_LOAD}/usr/lib/*/libstdc++*"))

    def test_jdk(self):
        for agent in map(os.path.realpath, sorted(glob.glob("/usr/lib/jvm/*/lib/libsaproc.so"))):
            java = f"{os.path.dirname(os.path.dirname(agent))}/bin/java"
            if os.path.exists(java) and is_roots_alone(agent):
                break
        else:
            self.skipTest("no JDK is installed (Debian's openjdk-17-jre-headless)")
        jvm = self.start(java, "-Xmx64m", "-Xint", "-XX:+UseSerialGC", WAITING_JVM, "-version")
        wait_until(lambda: module_of(jvm.pid, "libdt_socket.so"))  # by then it waits
        archive, manifest = self.get_zip(jvm.pid)
        self.assert_in_zip(archive, manifest, agent, module_of(jvm.pid, "libjvm.so"))


if __name__ == "__main__":
    main()
