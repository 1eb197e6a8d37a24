"""The example agent on processes that run away: their dumps, the limit of its directory.

usage: test_agent.py AGENT
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

PATIENCE_S = 60

# PR_SET_PTRACER_ANY, where Yama asks for it.
TRACEABLE = "import ctypes; ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_long(-1))\n"
BUSY = TRACEABLE + "while True: pass"
HOLDS_MEMORY = TRACEABLE + "import time; held = bytes(range(256)) * (1 << 20); time.sleep(600)"


class Agent(unittest.TestCase):
    program = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="procinspect-agent-")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, *command):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def start_agent(self, watched, *options):
        """It watches that process alone: others of this machine aren't the test's to stop."""
        where = ("--directory", self.folder, "--interval-ms", "200", "--pid", str(watched.pid))
        return self.start(self.program, *where, "--dump-type", "0", *options)

    def wait_for_zip_of(self, process):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for name in os.listdir(self.folder):
                if f"-{process.pid}-" in name and name.endswith(".zip") and name[0] != ".":
                    return os.path.join(self.folder, name)
            time.sleep(0.05)
        raise AssertionError(os.listdir(self.folder))

    def assert_is_dump(self, path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            self.assertEqual((names[0], names[-1]), ("minidump.dmp", "manifest.json"))
            self.assertEqual(archive.read("minidump.dmp")[:4], b"MDMP")

    def test_one_that_takes_the_processor(self):
        busy = self.start(sys.executable, "-c", BUSY)
        self.start_agent(busy, "--cpu-percent", "1")
        self.assert_is_dump(self.wait_for_zip_of(busy))
        self.assertIsNone(busy.poll())

    def test_one_that_takes_memory(self):
        large = self.start(sys.executable, "-c", HOLDS_MEMORY)
        agent = self.start_agent(large, "--memory-mib", "200")
        self.assert_is_dump(self.wait_for_zip_of(large))
        time.sleep(1)  # five more looks
        agent.kill()
        self.assertEqual(len(os.listdir(self.folder)), 1)
        self.assertIn(b"100 %", agent.stderr.read())

    def test_one_that_takes_little(self):
        idle = self.start(sys.executable, "-c", "import time; time.sleep(600)")
        agent = self.start_agent(idle, "--memory-mib", "200", "--cpu-percent", "90")
        time.sleep(2)
        agent.kill()
        self.assertEqual(agent.stderr.read(), b"")
        self.assertEqual(os.listdir(self.folder), [])

    def test_the_directory_has_a_limit(self):
        with open(os.path.join(self.folder, "full"), "wb") as file:
            file.truncate(1 << 20)
        large = self.start(sys.executable, "-c", HOLDS_MEMORY)
        agent = self.start_agent(large, "--memory-mib", "200", "--limit-mib", "1")
        line = b"-"
        while line != b"" and b"has reached its 1 MiB" not in line:
            line = agent.stderr.readline()
        self.assertNotEqual(line, b"")
        agent.kill()
        self.assertEqual(os.listdir(self.folder), ["full"])


if __name__ == "__main__":
    Agent.program = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
