"""The launcher: which interpreter of an image it takes, and what it says when it takes none."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from integration.injection.conftest import interpreter

SYSTEM = "/usr/bin:/usr/local/bin"
TOLD = """
import os, sys
print("STARTED", sys.executable, os.environ["CREWOPS_INTERPRETER"], sys.argv[1:])
"""


@pytest.fixture(scope="session")
def launcher(payload, tmp_path_factory):
    """The payload with a `start.py` that only says where it is."""
    made = tmp_path_factory.mktemp("launcher") / "payload"
    made.mkdir()
    for name in ("start", "probe.py"):
        shutil.copyfile(payload / name, made / name)
    (made / "start.py").write_text(TOLD)
    return made


@pytest.fixture
def image(launcher, tmp_path):
    """`image(PATH=...)`: starts a container of an image with these variables; what it said and its exit code."""
    (tmp_path / "workdir").mkdir()
    (tmp_path / "home").mkdir()

    def run(**environ):
        done = subprocess.run(
            ["/bin/sh", launcher / "start"],
            env={"PATH": "/nowhere", "HOME": str(tmp_path / "home"), **environ},
            cwd=tmp_path / "workdir",
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        return done.stdout.strip(), done.returncode

    return run


def venv(folder, crewai="1.15.30", python=sys.executable):
    """An environment whose metadata name a CrewAI. The launcher asks no more: importing it takes seconds."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    if crewai:
        (packages,) = folder.glob("lib/python3*/site-packages")
        info = packages / f"crewai-{crewai}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: crewai\nVersion: {crewai}\n")
    return folder


def script(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "crewai"
    file.write_text(text)
    file.chmod(0o755)
    return folder


def started(answer, python, how):
    said, code = answer
    assert said == f"STARTED {python} {how} []"
    assert code == 0


def failed(answer):
    said, code = answer
    assert code == 78
    return json.loads(said.splitlines()[-1])


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX"])
def test_environment_that_a_variable_names(image, tmp_path, variable):
    made = venv(tmp_path / "an environment")
    started(image(**{variable: str(made)}), made / "bin/python", variable)


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_environment_in_the_working_directory(image, tmp_path, name):
    made = venv(tmp_path / "workdir" / name)
    started(image(), made / "bin/python", "the working directory")


def test_environment_of_a_crewai_command_on_the_path(image, tmp_path):
    made = venv(tmp_path / "hidden")
    bin_ = script(tmp_path / "bin", f"#!{made}/bin/python\nimport crewai\n")
    started(image(PATH=f"/nowhere:{bin_}"), made / "bin/python", f"the crewai command at {bin_}/crewai")


def test_environment_of_a_crewai_command_whose_path_is_too_long_for_a_shebang(image, tmp_path):
    made = venv(tmp_path / "with a blank")
    text = f"#!/bin/sh\n'''exec' \"{made}/bin/python\" \"$0\" \"$@\"\n' '''\nimport crewai\n"
    bin_ = script(tmp_path / "bin", text)
    started(image(PATH=str(bin_)), made / "bin/python", f"the crewai command at {bin_}/crewai")


def test_python_on_the_path_that_has_crewai_and_not_the_first_one(image, tmp_path):
    without, made = venv(tmp_path / "without", crewai=""), venv(tmp_path / "made")
    answer = image(PATH=f"{without}/bin:{made}/bin")
    started(answer, made / "bin/python3", "the PATH")


def test_environment_of_poetry_below_home(image, tmp_path):
    made = venv(tmp_path / "home/.cache/pypoetry/virtualenvs/desk-abc-py3.11")
    started(image(), made / "bin/python", "a usual place")


def test_environments_come_before_the_path(image, tmp_path):
    made, other = venv(tmp_path / "workdir/.venv"), venv(tmp_path / "other")
    started(image(PATH=f"{other}/bin"), made / "bin/python", "the working directory")


def test_named_interpreter_is_taken_before_all(image, tmp_path):
    made, other = venv(tmp_path / "made"), venv(tmp_path / "other")
    answer = image(CREWOPS_PYTHON=f"{made}/bin/python", VIRTUAL_ENV=str(other))
    started(answer, made / "bin/python", "spec.crew.runtime.python")


def test_named_interpreter_that_does_not_do_is_an_error_though_others_would(image, tmp_path):
    made, other = venv(tmp_path / "made", crewai=""), venv(tmp_path / "other")
    told = failed(image(CREWOPS_PYTHON=f"{made}/bin/python", VIRTUAL_ENV=str(other)))
    assert told["reason"] == "CrewAIMissing"
    assert f"{made}/bin/python: Python" in told["message"]


def test_named_interpreter_that_is_not_there(image):
    told = failed(image(CREWOPS_PYTHON="/opt/none/bin/python"))
    assert told["reason"] == "InterpreterUnusable"
    assert "there is no /opt/none/bin/python" in told["message"]


def test_every_interpreter_that_was_tried_is_named_and_the_nearest_gives_the_reason(image, tmp_path):
    old, without = venv(tmp_path / "old", crewai="1.14.6"), venv(tmp_path / "without", crewai="")
    told = failed(image(VIRTUAL_ENV=str(old), PATH=f"{without}/bin"))
    assert told["reason"] == "CrewAITooOld"
    assert f"{old}/bin/python: Python {sys.version.split()[0]} with crewai 1.14.6" in told["message"]
    assert f"{without}/bin/python3: Python {sys.version.split()[0]} without crewai" in told["message"]
    assert "crewai>=1.14.7" in told["message"]


def test_prerelease_of_the_first_supported_is_asked_for_its_numbers(image, tmp_path):
    made = venv(tmp_path / "made", crewai="1.14.7rc1")
    started(image(VIRTUAL_ENV=str(made)), made / "bin/python", "VIRTUAL_ENV")


@pytest.mark.parametrize("version", ["3.10", "3.8", "2.7"])
def test_python_that_the_runtime_does_not_know(image, tmp_path, version):
    found = interpreter(version)
    packages = tmp_path / "packages"
    (packages / "crewai").mkdir(parents=True)
    (packages / "crewai" / "__init__.py").touch()
    info = packages / "crewai-1.15.30.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crewai\nVersion: 1.15.30\n")
    told = failed(image(CREWOPS_PYTHON=found, PYTHONPATH=str(packages)))
    assert told["reason"] == "PythonUnsupported"
    assert f"Python {version}." in told["message"]


def executable(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path


FOREIGN_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (243).to_bytes(2, "little") + bytes(44)
"""The header of a RISC-V program."""


def test_interpreter_of_another_architecture(image, tmp_path):
    made = executable(tmp_path / "foreign/bin/python", FOREIGN_ELF)
    told = failed(image(CREWOPS_PYTHON=str(made)))
    assert told["reason"] == "InterpreterBroken"
    assert str(made) in told["message"]


def test_interpreter_that_ends_with_an_error_is_quoted(image, tmp_path):
    text = b"#!/bin/sh\necho 'error while loading shared libraries: libpython3.11.so.1.0' >&2\nexit 127\n"
    made = executable(tmp_path / "broken/bin/python", text)
    told = failed(image(CREWOPS_PYTHON=str(made)))
    assert told["reason"] == "InterpreterBroken"
    assert "libpython3.11.so.1.0" in told["message"]


def test_interpreter_that_crashes_with_quotes_and_backslashes_still_gives_json(image, tmp_path):
    made = executable(tmp_path / "odd/bin/python", b"#!/bin/sh\nprintf 'say \"no\" \\\\ \\t'\nexit 9\n")
    told = failed(image(CREWOPS_PYTHON=str(made)))
    assert told["reason"] == "InterpreterBroken"
    assert 'it ends with code 9: say "no" \\' in told["message"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may run what others may not: run the tests as another user")
def test_interpreter_of_another_user(image, tmp_path):
    made = venv(tmp_path / "made")
    (made / "bin").chmod(0)
    told = failed(image(CREWOPS_PYTHON=f"{made}/bin/python"))
    assert told["reason"] == "InterpreterUnusable"


def test_file_that_is_no_program(image, tmp_path):
    (tmp_path / "python").write_text("")
    told = failed(image(CREWOPS_PYTHON=str(tmp_path / "python")))
    assert told["reason"] == "InterpreterUnusable"
    assert "may not be run by this user" in told["message"]


def test_warnings_of_an_interpreter_do_not_hide_its_answer(image, tmp_path):
    made = venv(tmp_path / "made")
    (packages,) = made.glob("lib/python3*/site-packages")
    (packages / "noise.pth").write_text("import sys; sys.stderr.write('DeprecationWarning: usable is deprecated\\n')\n")
    started(image(VIRTUAL_ENV=str(made)), made / "bin/python", "VIRTUAL_ENV")


def test_message_fits_into_a_termination_message(image, tmp_path):
    many = [venv(tmp_path / f"{'long' * 20}-{number}", crewai="") for number in range(3)]
    for number in range(40):
        shutil.copytree(many[0], tmp_path / f"{'deep' * 20}-{number}", symlinks=True)
    path = ":".join(str(one / "bin") for one in sorted(tmp_path.glob("*-*")))
    said, code = image(PATH=path)
    assert code == 78
    assert len(said.encode()) < 4096
    assert json.loads(said)["reason"] == "CrewAIMissing"


def test_same_first_crewai_everywhere():
    root = Path(__file__).parents[3] / "runtime"
    files = root / "injection/src/crew_injection/files"
    versions = (root / "worker/src/crew_runtime/crewai/versions.py").read_text()
    assert 'FIRST = "1.14.7"' in versions
    assert "first_crewai=1.14.7\n" in (files / "start").read_text()
    assert "FIRST_CREWAI = (1, 14, 7)" in (files / "probe.py").read_text()
