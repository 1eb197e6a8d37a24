#!/usr/bin/env python3
"""One LLDB that is asked many times: to start it takes longer than most answers.

usage: lldb_session.py

Prints `ready PID`. Each line of its standard input is then the arguments of compare_lldb.py or of
lldb_regions.py, after `compare` or `regions`; the answer is what that prints, and a line
`status N`. Ends when its input does.

The script runs itself inside of lldb-19, whose Python knows LLDB.
"""
import contextlib
import io
import os
import shlex
import subprocess
import sys
import traceback

FOLDER = os.path.dirname(os.path.abspath(__file__))


def answer(debugger, line):
    """(what is printed, exit status)"""
    import compare_lldb
    import lldb_regions

    tools = {"compare": compare_lldb.run, "regions": lldb_regions.run}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        name, *arguments = shlex.split(line)
        status = 2
        try:
            status = tools[name](debugger, arguments)
        except SystemExit as end:  # of wrong arguments
            print(end)
        except Exception:
            traceback.print_exc()
    return printed.getvalue(), status


def __lldb_init_module(debugger, _):
    """LLDB calls this when it imports the script."""
    if FOLDER not in sys.path:
        sys.path.insert(0, FOLDER)
    debugger.SetAsync(False)
    with os.fdopen(int(os.environ["LLDB_SESSION_INPUT"])) as questions, os.fdopen(
        int(os.environ["LLDB_SESSION_OUTPUT"]), "w"
    ) as answers:
        for line in questions:
            text, status = answer(debugger, line)
            answers.write(f"{text}status {status}\n")
            answers.flush()


def ask_once(tool, arguments):
    """Asks an LLDB of its own; prints the answer and returns the status."""
    result = subprocess.run(
        [sys.executable, os.path.abspath(__file__)],
        input=shlex.join([tool, *arguments]) + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = result.stdout.splitlines()
    if len(lines) < 2 or not lines[-1].startswith("status "):
        sys.exit("lldb-19 did not run this")
    print("\n".join(lines[1:-1]))
    return int(lines[-1].split()[1])


def main():
    print(f"ready {os.getpid()}", flush=True)
    questions, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # what LLDB says by itself is no answer
    for descriptor in (questions, answers):
        os.set_inheritable(descriptor, True)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["LLDB_SESSION_INPUT"] = str(questions)
    os.environ["LLDB_SESSION_OUTPUT"] = str(answers)
    script = f"command script import {os.path.abspath(__file__)}"
    os.execvp("lldb-19", ["lldb-19", "--no-lldbinit", "--batch", "-o", script])


if __name__ == "__main__":
    main()
