#!/usr/bin/env python3
"""Zips of all sizes as others read them: unzip, 7z, Python's zipfile, and bsdtar from a pipe.

usage: test_readers.py MAKE_ZIP
"""

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

MIB = 1 << 20
GIB = 1 << 30
SOAK = bool(os.environ.get("PROCINSPECT_TEST_SOAK"))


class Readers(unittest.TestCase):
    make_zip = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="procinspect-zip-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "dump.zip")

    def make(self, *entries, level=1, workers=2, succeeds=True):
        """entries: (name, kind, size)"""
        words = [str(word) for entry in entries for word in entry]
        with open(self.path, "wb") as file:
            result = subprocess.run(
                [self.make_zip, str(level), str(workers), *words], stdout=file, check=False
            )
        self.assertEqual(result.returncode == 0, succeeds)

    def run_reader(self, *command, stdin=None):
        result = subprocess.run(command, stdin=stdin, capture_output=True, check=False)
        return result.returncode, (result.stdout + result.stderr)[-500:]

    def verdicts(self):
        """What each reader says: 0 where it reads all of it."""
        with open(self.path, "rb") as file:
            piped, piped_text = self.run_reader(
                "sh", "-c", "cat | bsdtar -xOf - >/dev/null", stdin=file
            )
        unzip, unzip_text = self.run_reader("unzip", "-tq", self.path)
        seven, seven_text = self.run_reader("7z", "t", self.path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                python = archive.testzip()
        except zipfile.BadZipFile as error:
            python = error
        self.texts = (unzip_text, seven_text, piped_text)
        return {"unzip": unzip, "7z": seven, "zipfile": python or 0, "bsdtar": piped}

    def assert_read_by_all(self, *entries):
        good = {"unzip": 0, "7z": 0, "zipfile": 0, "bsdtar": 0}
        self.assertEqual(self.verdicts(), good, self.texts)
        with zipfile.ZipFile(self.path) as archive:
            found = [(info.filename, info.file_size) for info in archive.infolist()]
        self.assertEqual(found, [(name, size) for name, _, size in entries])

    def test_small_ones(self):
        for entries in (
            [("minidump.dmp", "c", 0)],
            [("minidump.dmp", "c", 1)],
            [("minidump.dmp", "z", 128 * 1024), ("manifest.json", "c", 500)],
            [("minidump.dmp", "i", 9 * MIB + 3), ("gr\u00f6\u00dfe.so", "r", MIB), ("x", "z", 0)],
        ):
            for level in (0, 1, 6, 9):
                with self.subTest(entries=entries, level=level):
                    self.make(*entries, level=level)
                    self.assert_read_by_all(*entries)

    def test_bsdtar_gets_the_bytes_from_a_pipe(self):
        self.make(("minidump.dmp", "i", 5 * MIB + 1))
        with open(self.path, "rb") as file:
            piped = subprocess.run(
                ["sh", "-c", "cat | bsdtar -xOf - minidump.dmp"], stdin=file, capture_output=True
            ).stdout
        with zipfile.ZipFile(self.path) as archive:
            self.assertEqual(piped, archive.read("minidump.dmp"))

    def test_headers(self):
        """Below 4 GiB it is the form that every reader knows: version 2.0, sizes of 4 bytes."""
        self.make(("minidump.dmp", "c", 100000), ("\u00e4.so", "c", 5))
        with open(self.path, "rb") as file:
            data = file.read()
        fields = struct.unpack_from("<4s5H3L2H", data)
        self.assertEqual(fields[:2], (b"PK\3\4", 20))
        self.assertEqual(fields[2] & 0xFFF9, 0x0808)  # less the bits that tell the level
        self.assertEqual(fields[3], 8)
        self.assertEqual(fields[6:], (0, 0, 0, 12, 0))
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                self.assertEqual(info.create_system, 3)
                self.assertEqual(info.create_version, 45)
                self.assertEqual(info.extract_version, 20)
                self.assertEqual(info.external_attr >> 16, 0o100600)
                self.assertEqual(info.date_time, (2026, 1, 2, 3, 4, 4))
                at = info.header_offset + 30 + len(info.filename.encode()) + info.compress_size
                self.assertEqual(
                    struct.unpack_from("<4L", data, at),
                    (0x08074B50, info.CRC, info.compress_size, info.file_size),
                )

    def test_headers_of_zip64(self):
        """What could come to 4 GiB has version 4.5, the extra field, and sizes of 8 bytes."""
        self.make(("minidump.dmp", "z", 4 * GIB - MIB))
        with open(self.path, "rb") as file:
            data = file.read()
        fields = struct.unpack_from("<4s5H3L2H12s2H2Q", data)
        self.assertEqual(fields[1], 45)
        self.assertEqual(fields[6:9], (0, 0xFFFFFFFF, 0xFFFFFFFF))
        self.assertEqual(fields[12:], (1, 16, 0, 0))
        with zipfile.ZipFile(self.path) as archive:
            info = archive.infolist()[0]
        self.assertEqual(info.file_size, 4 * GIB - MIB)
        at = 30 + 12 + 20 + info.compress_size
        self.assertEqual(
            struct.unpack_from("<2L2Q", data, at),
            (0x08074B50, info.CRC, info.compress_size, info.file_size),
        )

    def test_what_broke_off_is_seen_to_be_incomplete(self):
        self.make(("minidump.dmp", "b", 3 * MIB), succeeds=False)
        self.assertNotIn(0, self.verdicts().values())

    @unittest.skipUnless(SOAK, "takes minutes")
    def test_an_entry_beyond_4_gib(self):
        entries = (("minidump.dmp", "z", 4 * GIB + 12345), ("behind", "c", 1000))
        self.make(*entries)
        self.assert_read_by_all(*entries)

    @unittest.skipUnless(SOAK, "takes minutes and 5 GiB")
    def test_beyond_4_gib_in_all(self):
        entries = (
            ("minidump.dmp", "r", 5 * GIB // 2),
            ("large.so", "r", 5 * GIB // 2),
            ("behind", "c", 1000),
        )
        self.make(*entries)
        self.assertGreater(os.path.getsize(self.path), 5 * GIB)
        self.assert_read_by_all(*entries)


class TapResult(unittest.TextTestResult):
    """One line a case, which .ci/tally.py counts."""

    count = 0

    def say(self, verdict, test, comment=""):
        self.count += 1
        print(f"{verdict} {self.count} - {test.id()}{comment}", flush=True)

    def addSuccess(self, test):
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("not ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("not ok", test)


if __name__ == "__main__":
    Readers.make_zip = os.path.abspath(sys.argv[1])
    runner = unittest.TextTestRunner(stream=sys.stderr, resultclass=TapResult)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], testRunner=runner)
