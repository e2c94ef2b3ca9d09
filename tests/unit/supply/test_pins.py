"""What is built, run by a workflow or fetched is pinned: nobody else decides what is in a release."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILES = [ROOT / "operator" / "Dockerfile", ROOT / "runtime" / "Dockerfile"]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _locked():
    spec = importlib.util.spec_from_file_location("locked", ROOT / "tools" / "locked.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


locked = _locked()


def _jobs():
    return [
        pytest.param(job, id=f"{path.stem}-{name}")
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    ]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_say_their_version(path):
    used = re.findall(r"uses: (\S+)(?: # (v\d\S*))?", path.read_text())
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert version, f"{action}: say its version, for people and for the bot"


def test_an_action_is_the_same_everywhere():
    found = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: (\S+)@(\S+)", path.read_text()):
            found.setdefault(name, set()).add(commit)
    assert {name: commits for name, commits in found.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_no_more(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("job", _jobs())
def test_a_job_may_write_packages_at_most_and_keeps_no_credentials(job):
    permissions = job.get("permissions", {"contents": "read"})
    assert permissions in ({"contents": "read"}, {"contents": "read", "packages": "write"})
    for step in job["steps"]:
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
        # what somebody else may write, such as a branch's name, is no text of a script
        assert "${{" not in step.get("run", "")


def test_a_thousand_mutations_of_each_example_are_tried_every_week():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "mutations.yml").read_text())
    (schedule,) = workflow[True]["schedule"]  # YAML's `on`
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
    assert "make test-mutations MUTATIONS=1000" in [step.get("run") for step in workflow["jobs"]["specs"]["steps"]]
    recipe = (ROOT / "Makefile").read_text().partition("\ntest-mutations:")[2].partition("\n\n")[0]
    assert "CREWOPS_MUTATIONS=$(MUTATIONS)" in recipe
    assert "tests/integration/operator/test_hostile_specs.py" in recipe


def test_released_images_have_sbom_provenance_and_two_architectures():
    image = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]["image"]
    (build,) = [step["with"] for step in image["steps"] if "build-push-action" in step.get("uses", "")]
    assert (build["sbom"], build["provenance"], build["push"]) == (True, "mode=max", True)
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert {ROOT / one["file"] for one in image["strategy"]["matrix"]["include"]} == set(DOCKERFILES)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_bases_are_named_by_digest(path):
    text = path.read_text()
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", base)
    assert {line.split()[1] for line in text.splitlines() if line.startswith("FROM ")} == {"${PYTHON_IMAGE}"}


def test_both_images_have_the_same_base():
    assert len({re.search(r"^ARG PYTHON_IMAGE=(\S+)$", path.read_text(), re.MULTILINE)[1] for path in DOCKERFILES}) == 1


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_an_image_installs_is_locked_or_its_own(path):
    commands = re.split(r"&&|\n(?!\s)", path.read_text().replace("\\\n", ""))
    pips = [one for one in commands if re.search(r"\bpip\b.* (install|wheel)\b", one)]
    assert len(pips) >= 4
    for one in pips:
        assert "--require-hashes -r /" in one or "--no-index" in one, one
        if " wheel " in one:
            assert "--no-build-isolation" in one, "the backend would come from outside"


FROM_DEBIAN = {"operator": [], "runtime": ["busybox-static"]}
"""By image; Debian's archive keeps the newest version only, so that none can be named."""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_nothing_else_is_fetched_into_an_image(path):
    lines = [one for one in path.read_text().replace("\\\n", "").splitlines() if not one.startswith("#")]
    commands = [one.split() for line in lines for one in re.split(r"&&|\|\|?|;", line.removeprefix("RUN "))]
    used = [one for one in commands if any(word.startswith(("apt", "dpkg")) for word in one)]
    installed = [word for one in used if "install" in one for word in one[one.index("install") + 1 :] if word[0] != "-"]
    assert installed == FROM_DEBIAN[path.parent.name]
    others = [
        one for one in used if "install" not in one and one[:2] not in (["apt-get", "update"], ["dpkg-query", "-W"])
    ]
    assert others == []
    for program in ("curl", "wget", "git", "npm", "ADD"):
        assert not [one for one in commands if program in one], program


def test_what_is_locked_is_audited_with_each_change_and_weekly():
    audit = yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text())
    when = audit[True]  # YAML 1.1 takes `on` for it
    assert when["schedule"]
    assert "pull_request" in when
    assert when["push"]["branches"] == ["main"]
    assert "make audit" in [step.get("run") for job in audit["jobs"].values() for step in job["steps"]]


def test_every_distribution_is_built_by_the_locked_backend():
    (wanted,) = [one for one in PROJECT["dependency-groups"]["image-build"] if one.startswith("hatchling")]
    members = PROJECT["tool"]["uv"]["workspace"]["members"]
    for one in members:
        system = tomllib.loads((ROOT / one / "pyproject.toml").read_text())["build-system"]
        assert system == {"requires": [wanted], "build-backend": "hatchling.build"}


def test_what_builds_an_image_comes_with_all_it_needs_and_hashes():
    lines = list(locked.requirements(LOCK, ["uv", "hatchling"]))
    names = [line.partition("==")[0] for line in lines]
    assert {"uv", "hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"} <= set(names)
    assert names == sorted(set(names))
    for line in lines:
        assert re.fullmatch(r"\S+==\S+( --hash=sha256:[0-9a-f]{64})+", line)


def test_a_package_that_is_locked_twice_is_not_guessed_at():
    twice = {"package": [{"name": "a", "version": "1"}, {"name": "a", "version": "2"}]}
    with pytest.raises(ValueError, match="2 versions of a"):
        list(locked.requirements(twice, ["a"]))


def test_every_locked_file_has_a_hash_and_comes_from_the_index():
    for package in LOCK["package"]:
        if "registry" not in package["source"]:
            assert set(package["source"]) <= {"editable", "virtual"}, package["name"]
            continue
        assert package["source"]["registry"] == "https://pypi.org/simple"
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        assert files
        assert all(one["hash"].startswith("sha256:") for one in files), package["name"]
