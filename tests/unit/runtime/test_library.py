"""What `import crew_runtime` offers, and what it costs."""

import subprocess
import sys

import pytest

import crew_runtime
from crew_runtime.sessions import binding


def test_the_package_alone_imports_nothing():
    code = "import sys, crew_runtime; print([one for one in ('redis', 'crewai', 'numpy') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_a_session_is_bound_for_the_block():
    with crew_runtime.session("1"):
        assert binding.session() == "1"
        with crew_runtime.session("2"):
            assert binding.session() == "2"
        assert binding.session() == "1"
    assert binding.session() is None


def test_a_session_needs_an_id():
    with pytest.raises(ValueError, match="needs an id"):
        crew_runtime.session("")


def test_install_stays_a_function_when_its_module_is_imported():
    from crew_runtime import installation

    assert callable(crew_runtime.install)
    assert callable(installation.install)
