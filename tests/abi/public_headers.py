"""What the public headers declare, for the tests of this folder."""

import pathlib
import re
import sys


def paths(include_root):
    root = pathlib.Path(include_root)
    return sorted(root.rglob("*.h"))


def code(path):
    """The header's text without comments and preprocessor lines."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$", "", text, flags=re.M)


def functions(include_root):
    """Names of the functions that are marked as exported."""
    declaration = re.compile(r"\bPROCINSPECT_API\b[^;(]*?\b(\w+)\s*\(")
    return {name for path in paths(include_root) for name in declaration.findall(code(path))}


def unmarked_functions(include_root):
    """Names of functions declared without PROCINSPECT_API: they would not be exported."""
    found = set()
    for path in paths(include_root):
        outside = re.sub(r"\{[^{}]*\}", "{}", code(path))
        for statement in outside.split(";"):
            name = re.search(r"\b(procinspect_\w+)\s*\(", statement)
            if name and "PROCINSPECT_API" not in statement and "typedef" not in statement:
                found.add(name.group(1))
    return found


def structs(include_root):
    """Struct name to the names of its members, in their order."""
    found = {}
    for path in paths(include_root):
        for name, body in re.findall(r"\bstruct\s+(\w+)\s*\{([^{}]*)\}", code(path)):
            found[name] = [member for part in body.split(";") for member in members(part)]
    return found


def members(declaration):
    """The member names that one declaration of a struct's body holds."""
    pointer_to_function = re.search(r"\(\s*\*\s*(\w+)\s*\)", declaration)
    if pointer_to_function:
        return [pointer_to_function.group(1)]
    names = [re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", part) for part in declaration.split(",")]
    return [name.group(1) for name in names if name]


def finish(problems, checked):
    """Prints the problems and ends the test; a test that saw nothing to check has failed, too."""
    if not checked:
        problems = problems + ["nothing was found to check"]
    for problem in problems:
        print(problem)
    print(f"{checked} checked, {len(problems)} wrong")
    sys.exit(1 if problems else 0)
