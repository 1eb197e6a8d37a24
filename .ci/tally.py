"""Sums what meson recorded of one or several runs of the tests, case by case: a cmocka program counts
as its cases, any other test as one. Prints "N passed, N failed, N skipped".

usage: tally.py TESTLOG_JSON…
"""

import collections
import json
import re
import sys

# cmocka's TAP, of which 1.1.5 says "not ok" of a skipped case.
CASE = re.compile(r"^(not ok|ok) \d+(?:.*?# (SKIP)\b)?", flags=re.M)


def outcomes(test):
    """The outcome of each case of one test program."""
    found = []
    for verdict, skip in CASE.findall(test["stdout"] or ""):
        found.append("skipped" if skip else "passed" if verdict == "ok" else "failed")
    whole = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(test["result"], "failed")
    # A program that crashed or leaked after its last case has failed, whatever its cases said.
    if not found or (whole == "failed" and "failed" not in found):
        found.append(whole)
    return found


def main():
    counts = collections.Counter()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                counts.update(outcomes(json.loads(line)))
    print(", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    return 0 if counts["passed"] and not counts["failed"] else 1


sys.exit(main())
