import ast

import pytest

from crew_injection.errors import VendoringError
from crew_injection.vendoring import Names, rewrite

OURS = Names({"redis": "crew_runtime._vendor"}, {}, keep_foreign=True)
THEIRS = Names({"redis": "crew_runtime._vendor"}, {"redis": "8.1.0"})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import redis\n", "from crew_runtime._vendor import redis\n"),
        ("import redis as r  # why\n", "from crew_runtime._vendor import redis as r  # why\n"),
        ("from redis import Redis\n", "from crew_runtime._vendor.redis import Redis\n"),
        ("from redis.retry import (\n    R,\n)\n", "from crew_runtime._vendor.redis.retry import (\n    R,\n)\n"),
        ("if x: from redis import a; b = 1\n", "if x: from crew_runtime._vendor.redis import a; b = 1\n"),
        ("s = 'ü'; import redis\n", "s = 'ü'; from crew_runtime._vendor import redis\n"),
        # neither a name that only looks alike, nor a relative import, nor a text
        ("import redistribute\nfrom .redis import a\nfrom . import redis\n", None),
        ("'import redis'\n'''\nfrom redis import x\n'''\n", None),
        ("import crewai\nimport json\n", None),
    ],
)
def test_imports_are_renamed_and_nothing_else(before, after):
    assert rewrite(before, OURS) == (before if after is None else after)


def test_what_only_a_type_checker_reads_is_left():
    source = "if TYPE_CHECKING:\n    import redis.client\n    import hiredis\nelse:\n    import redis\n"
    assert rewrite(source, THEIRS) == source.replace("import redis\n", "from crew_runtime._vendor import redis\n")


def test_foreign_package_is_as_if_it_were_not_installed():
    source = "try:\n    import hiredis\n    HAS = True\nexcept ImportError:\n    HAS = False\n"
    names: dict[str, object] = {}
    exec(rewrite(source, THEIRS), names)
    assert names["HAS"] is False


def test_lines_stay_where_they_are():
    source = "from opentelemetry.metrics import (\n    Meter,\n    Other,\n)\nmark = 1\n"
    (mark,) = [node for node in ast.walk(ast.parse(rewrite(source, THEIRS))) if isinstance(node, ast.Assign)]
    assert mark.lineno == 5


def test_version_of_what_is_inside_is_a_constant():
    assert rewrite("v = metadata.version('redis')\n", THEIRS) == "v = '8.1.0'\n"
    assert rewrite("v = metadata.version('other')\n", THEIRS) == "v = metadata.version('other')\n"


@pytest.mark.parametrize(
    "source",
    [
        "import redis.client\n",
        "import redis, json\n",
        "from  redis import x\n",
        "import_module('redis.client')\n",
        "import_module(name)\n",
    ],
)
def test_unknown_form_is_refused_with_its_place(source):
    with pytest.raises(VendoringError, match=r"here\.py:1"):
        rewrite(source, THEIRS, "here.py")


def test_own_sources_may_name_other_modules_by_text():
    assert rewrite("import_module(name)\n", OURS) == "import_module(name)\n"
    with pytest.raises(VendoringError):
        rewrite("import_module('redis')\n", OURS)
