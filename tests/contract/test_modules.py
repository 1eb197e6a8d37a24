"""Module items and module objects against /proc/PID/maps, readelf and the files themselves."""

import os
import re
import shutil
import subprocess
import tempfile

from contract_case import ContractCase, main
from contract_host import Programs
from contract_values import MODULE, MODULE_ITEM, check

FILES = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ (\d+) +(/.*)")


def mapped_files(pid):
    """path -> (where its first byte is mapped, end of its last mapping)"""
    found = {}
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            match = FILES.fullmatch(line.rstrip("\n"))
            if match is None or match[5].startswith("/dev/"):
                continue
            begin, end, offset = (int(match[index], 16) for index in (1, 2, 3))
            first, _ = found.get(match[5], (begin - offset, 0))
            found[match[5]] = (first, end)
    return found


def build_id(path):
    text = subprocess.run(
        ["readelf", "--notes", "--wide", path], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"Build ID: ([0-9a-f]+)", text)
    return match[1] if match else None


def has_debug_info(path):
    text = subprocess.run(
        ["readelf", "--sections", "--wide", path], capture_output=True, text=True, check=True
    ).stdout
    return " .debug_info " in text


class Modules(ContractCase):
    def setUp(self):
        self.target = self.start_threads(1)
        self.base = f"/api/processes/{self.target.pid}/modules"

    def modules(self, base=None):
        """All module objects, by path."""
        found = {}
        for item in self.ok(base or self.base):
            module = self.ok(item["href"])
            check(MODULE, module)
            self.assertEqual({name: module[name] for name in MODULE_ITEM}, item)
            found[module["file_path"]] = module
        return found

    def test_list(self):
        items = self.ok(self.base)
        check([MODULE_ITEM], items)
        self.assertEqual(items, sorted(items, key=lambda each: each["file_name"].encode()))
        for item in items:
            self.assertEqual(item["href"], f"{self.host.origin}{self.base}/{item['base_address']}")
        names = [item["file_name"] for item in items]
        self.assertIn("threads", names)
        self.assertIn("libc.so.6", names)
        self.assertIn("linux-gate.so", names)
        self.assertEqual(len({item["base_address"] for item in items}), len(items))

    def test_members_of_each_mapped_file(self):
        modules = self.modules()
        files = mapped_files(self.target.pid)
        self.assertEqual(set(files), set(modules) - {"linux-gate.so"})
        for path, (begin, end) in files.items():
            with self.subTest(path):
                module = modules[path]
                self.assertEqual(int(module["base_address"], 16), begin)
                # From the base to the last mapping's end, .bss behind the file included or not.
                self.assertGreaterEqual(module["module_memory_size"], end - begin)
                self.assertLess(module["module_memory_size"], end - begin + (1 << 20))
                self.assertEqual(module["file_name"], os.path.basename(path))
                self.assertEqual(module["build_id"], build_id(path))
                self.assertIs(module["is_debug"], has_debug_info(path))
                version = re.search(r"\.so\.([0-9.]+)$", path)
                if version:
                    self.assertEqual(module["file_version"], version[1])
                for member in ("file_description", "language"):
                    self.assertIsNone(module[member])
                    self.assertTrue(module["unavailable"][member])

    def test_the_vdso(self):
        with open(f"/proc/{self.target.pid}/maps", encoding="utf-8", errors="replace") as file:
            begin = next(line for line in file if line.rstrip().endswith("[vdso]")).split("-")[0]
        vdso = self.modules()["linux-gate.so"]
        self.assertEqual(int(vdso["base_address"], 16), int(begin, 16))
        self.assertRegex(vdso["build_id"], r"^[0-9a-f]{40}$")

    def test_spellings_of_the_base(self):
        module = self.ok(self.base)[0]
        base = module["base_address"]
        expected = self.ok(f"{self.base}/{base}")
        for spelling in (base.upper(), "0x" + base, "0X" + base.upper(), "00" + base, base + "/"):
            with self.subTest(spelling):
                self.assertEqual(self.ok(f"{self.base}/{spelling}"), expected)
        # An address inside of a module isn't its base.
        inside = f"{int(base, 16) + 0x1000:x}"
        self.problem(f"{self.base}/{inside}", 404, inside)

    def test_files_with_every_kind_of_name(self):
        for name, shown in (
            (b"with space", "with space"),
            (b"new\nline", "new\nline"),
            (b"back\\slash", "back\\slash"),
            (b"ends (deleted)", "ends (deleted)"),
            (b"\xff\xfe.so.7.8", "\ufffd\ufffd.so.7.8"),
        ):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(os.fsencode(folder), name)
                shutil.copy(b"/bin/sleep", path)
                target = self.start([path, b"600"])
                modules = self.modules(f"/api/processes/{target.pid}/modules")
                module = modules[os.path.join(folder, shown)]
                self.assertEqual(module["file_name"], shown)
                self.assertEqual(module["build_id"], build_id("/bin/sleep"))
                self.assertEqual(module["file_version"], "7.8" if shown.endswith("7.8") else None)

    def test_files_that_are_gone_or_replaced(self):
        for replacement in (None, Programs.threads):
            with self.subTest(replacement), tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "program")
                shutil.copy("/bin/sleep", path)
                target = self.start([path, "600"])
                self.ok(f"/api/processes/{target.pid}")
                os.unlink(path)
                if replacement is not None:
                    shutil.copy(replacement, path)
                module = self.modules(f"/api/processes/{target.pid}/modules")[path]
                self.assertEqual(module["build_id"], build_id("/bin/sleep"))


if __name__ == "__main__":
    main()
