# mypy: ignore-errors
"""Has this interpreter a CrewAI that the runtime can serve? One line: `usable CREWAI PYTHON`, or a reason and facts.

In words that Python 2.7 reads too: any interpreter of an image may be asked. By metadata only, for importing CrewAI
takes seconds. Exit code 0: usable. 3: an answer. Anything else: this interpreter is broken.
"""

import sys

FIRST_PYTHON = (3, 11)
LAST_PYTHON = (3, 13)
FIRST_CREWAI = (1, 14, 7)


def numbers(version):
    """`1.14.7rc1` -> (1, 14, 7)."""
    found = []
    for part in version.split(".")[:3]:
        digits = ""
        for letter in part:
            if not letter.isdigit():
                break
            digits += letter
        found.append(int(digits or 0))
    return tuple(found)


def crewai():
    """Its version, or nothing."""
    try:
        from importlib import metadata
    except ImportError:
        return "unknown" if any_folder("crewai") else ""
    try:
        return metadata.version("crewai")
    except metadata.PackageNotFoundError:
        return ""


def any_folder(name):
    """Whether there is such a package, of any version."""
    import os

    return any(os.path.isfile(os.path.join(one, name, "__init__.py")) for one in sys.path)


def answer():
    """The line."""
    python = "%d.%d.%d" % sys.version_info[:3]
    version = crewai()
    if not version:
        return "CrewAIMissing Python " + python + " without crewai"
    if not FIRST_PYTHON <= sys.version_info[:2] <= LAST_PYTHON:
        return "PythonUnsupported Python " + python + " with crewai " + version
    if numbers(version) < FIRST_CREWAI:
        return "CrewAITooOld Python " + python + " with crewai " + version
    return "usable " + version + " " + python


if __name__ == "__main__":
    told = answer()
    sys.stdout.write(told + "\n")
    sys.exit(0 if told.startswith("usable ") else 3)
