"""The C in README.md compiles as it stands, against the public headers alone, and the wiring into a
server does what it says: it runs with the calls of a fake server.

usage: readme.py README INCLUDE_ROOT SHARED_LIBRARY
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

COMMAND = ["cc", "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror"]

# A server of one connection: prints the status, then the body; a body can't be sent on demand.
SERVER = r"""
#include <stdio.h>

void send_head(void *connection, const procinspect_http_response *response)
{
    (void)connection;
    printf("%u\n", response->status);
}

int32_t send_body(void *connection, const void *bytes, size_t length)
{
    if (*(const char *)connection != 0)
        return -1;
    return fwrite(bytes, 1, length, stdout) == length ? 0 : -1;
}

void cut(void *connection)
{
    (void)connection;
    printf("cut\n");
}

int main(int count, char **arguments)
{
    procinspect_http *http = server();
    if (http == NULL || count < 4)
        return 1;
    request(http, arguments[1], arguments[2], arguments[3], count > 4 ? arguments[4] : NULL);
    procinspect_http_free(http);
    return 0;
}
"""


def compile_block(block, include_root, *arguments):
    # What an example defines for its reader to call is not called in it.
    command = [*COMMAND, "-Wno-unused-function", "-I", include_root, "-", *arguments]
    result = subprocess.run(command, input=block, capture_output=True, text=True)
    return result.stderr if result.returncode else None


def wiring_problem(block, include_root, library):
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/server"
        path = str(pathlib.Path(library).parent.resolve())
        problem = compile_block(
            block + SERVER,
            include_root,
            *("-x", "none", library),
            *("-o", program, f"-Wl,-rpath,{path}"),
        )
        if problem:
            return problem

        def answer(*arguments):
            result = subprocess.run([program, *arguments], capture_output=True, check=True)
            status, _, body = result.stdout.decode().partition("\n")
            return int(status), body

        status, body = answer("", "GET", "/api/processes")
        if status != 200 or not json.loads(body):
            return f"GET /api/processes: {status} {body[:200]}"
        # The example's context allows the host's own user's processes alone.
        status, body = answer("", "GET", "/api/processes", "allUsers=true")
        if status != 403 or json.loads(body)["status"] != 403:
            return f"the query is lost: {status} {body[:200]}"
        status, body = answer("", "GET", "/api/processes/0/environments/all", "redact=true")
        if status != 200 or set(json.loads(body).values()) != {"[redacted]"}:
            return f"redact=true is lost: {status} {body[:200]}"
        status, body = answer("", "GET", "/api/nothing")
        if status != 404 or "Message" not in json.loads(body):
            return f"GET /api/nothing: {status} {body[:200]}"
        status, body = answer("", "HEAD", "/api/processes")
        if (status, body) != (200, ""):
            return f"HEAD: {status} {body[:200]}"
        status, body = answer("fails", "GET", "/api/processes")
        if (status, body) != (200, "cut\n"):
            return f"the connection isn't cut: {status} {body[:200]}"
    return None


def main():
    readme, include_root, library = sys.argv[1:]
    with open(readme, encoding="utf-8") as file:
        blocks = re.findall(r"^```c\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    problems = [compile_block(block, include_root, "-fsyntax-only") for block in blocks]
    wiring = [block for block in blocks if "procinspect_http_handle" in block]
    problems += [wiring_problem(block, include_root, library) for block in wiring]
    failed = [problem for problem in problems if problem]
    print("\n".join(failed))
    print(f"{len(blocks)} blocks of C, {len(wiring)} run, {len(failed)} failed")
    return 1 if failed or not wiring else 0


if __name__ == "__main__":
    sys.exit(main())
