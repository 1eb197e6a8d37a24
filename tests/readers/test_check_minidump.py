#!/usr/bin/env python3
"""Every rule of minidump_rules.py fires on a file that breaks it, and none on a good one."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import minidump_rules
from minidump_file import Minidump
from minidump_spoilt import SPOILT
from minidump_writer import CODE, PROGRAM, STACKS, VDSO, Model, Writer, full_model

CHECKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_minidump.py")


def broken_rules(data):
    return {text.split(":")[0] for text in minidump_rules.violations(Minidump(bytes(data)))}


class CheckMinidumpTest(unittest.TestCase):
    def test_good(self):
        self.assertEqual(minidump_rules.violations(Minidump(bytes(Writer(Model()).write()))), [])

    def test_good_full_dump(self):
        dump = Minidump(bytes(Writer(full_model()).write()))
        self.assertEqual(minidump_rules.violations(dump), [])
        self.assertEqual(dump.memory_at(STACKS + 4000, 96), bytes(96))
        self.assertIsNone(dump.memory_at(STACKS + 4000, 97))
        self.assertTrue(dump.holds_any_of(STACKS - 1, 2))
        self.assertFalse(dump.holds_any_of(STACKS - 1, 1))
        self.assertFalse(dump.holds_any_of(STACKS + 4096, 4096))

    def test_full_dump_whose_memory_list_has_parts(self):
        writer = Writer(full_model())
        data = writer.write()
        part = (CODE + 64, 192, writer.memory_rva + 64)
        struct.pack_into("<QII", data, writer.at["memory"] + 4, *part)
        self.assertEqual(broken_rules(data), set())

    def test_stack_inside_a_larger_range(self):
        model = Model()
        model.memory[2] = (STACKS + 0x10000, bytes(1024))
        self.assertEqual(broken_rules(Writer(model).write()), set())

    def test_every_rule_is_spoilt(self):
        self.assertEqual(set(SPOILT), {rule.__name__ for rule in minidump_rules.RULES})

    def test_rules_fire(self):
        for name, files in SPOILT.items():
            for number, data in enumerate(files):
                with self.subTest(rule=name, file=number):
                    self.assertIn(name, broken_rules(data))

    def test_cut_short_anywhere(self):
        data = bytes(Writer(Model()).write())
        for length in range(0, len(data), 97):
            with self.subTest(length=length):
                self.assertNotEqual(broken_rules(data[:length]), set())

    def run_checker(self, data):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            result = subprocess.run(
                [sys.executable, CHECKER, file.name], capture_output=True, text=True, check=False
            )
        return result.returncode, json.loads(result.stdout)

    def test_summary(self):
        status, summary = self.run_checker(Writer(Model()).write())
        self.assertEqual(status, 0)
        self.assertEqual((summary["pid"], summary["flags"], summary["violations"]), (700, 0x21804, []))
        self.assertEqual(
            summary["threads"][1],
            {
                "tid": 701,
                "name": "worker",
                "pc": CODE + 128,
                "sp": STACKS + 0x10000 + 128,
                "stack_start": STACKS + 0x10000,
                "stack_bytes": 512,
            },
        )
        self.assertEqual(
            summary["modules"][0],
            {"base": PROGRAM, "size": 0x4000, "name": "/bin/program", "build_id": "01" * 20},
        )
        self.assertEqual(
            summary["handles"][0],
            {"number": 0, "type": "file", "name": "/dev/null", "inherited": True, "access": 1},
        )
        self.assertEqual(summary["memory_info"][2]["base"], f"{VDSO:#x}")
        self.assertEqual(summary["thread_info"][0]["user_time"], "0x7")
        self.assertEqual(summary["memory"], {"ranges": 3, "bytes": 256 + 4096 + 512})

    def test_exit_status_of_a_bad_file(self):
        status, summary = self.run_checker(b"not a dump")
        self.assertEqual(status, 1)
        self.assertTrue(summary["violations"])


if __name__ == "__main__":
    unittest.main()
