"""The target that has memory of every kind, and dump types."""

import os
import subprocess
import sys
from collections import namedtuple

from contract_case import ContractCase
from contract_host import Programs

DATA, FULL, PRIVATE = 0x1, 0x2, 0x200
# Of descriptors, mappings and threads: they change nothing of the memory.
LISTS = 0x4 | 0x800 | 0x1000

Area = namedtuple("Area", "name start size seed types")


class MemoryCase(ContractCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        sys.path.insert(0, os.path.dirname(Programs.check_minidump))

    def start_memory(self, mebibytes=1):
        program = os.path.join(os.path.dirname(Programs.threads), "memory")
        target = self.start(
            [program, str(mebibytes), os.path.join(self.host.folder, "mapped")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        areas = []
        for line in target.stdout:
            words = line.decode().split()
            if words[0] == "ready":
                break
            areas.append(Area(words[1], *(int(word, 0) for word in words[2:])))
        self.wait_until_asleep(target)
        self.assertGreater(len(areas), 40)
        return target, areas
