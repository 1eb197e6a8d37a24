"""The C in README.md compiles as it stands, against the public headers alone.

usage: readme.py README INCLUDE_ROOT
"""

import re
import subprocess
import sys

COMMAND = ["cc", "-x", "c", "-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]


def main():
    readme, include_root = sys.argv[1:]
    with open(readme, encoding="utf-8") as file:
        blocks = re.findall(r"^```c\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    failed = 0
    for number, block in enumerate(blocks, 1):
        # What an example defines for its reader to call is not called in it.
        command = [*COMMAND, "-Wno-unused-function", "-I", include_root, "-"]
        result = subprocess.run(command, input=block, capture_output=True, text=True)
        if result.returncode:
            failed += 1
            print(f"README block {number}:\n{result.stderr}")
    print(f"{len(blocks)} blocks of C, {failed} failed")
    return 1 if failed or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
