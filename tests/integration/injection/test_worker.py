"""The worker half beside crews' own environments: it works, they are as before, and what they share is one memory."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # environments are installed, several with all that CrewAI needs

TESTS = Path(__file__).parents[2]
CREWAI = "crewai==1.15.30"
NEWEST = (CREWAI, "redis", "fastapi", "prometheus-client")
OLDEST = (
    CREWAI,
    "redis==3.5.3",
    "starlette==0.27.0",
    "fastapi==0.100.1",
    "uvicorn==0.31.1",
    "anyio==4.7.0",
    "pydantic==2.11.10",
    "click==8.1.8",
    "prometheus-client==0.7.1",
)
OLDER = (CREWAI, "redis==4.6.0", "starlette==0.27.0", "fastapi==0.100.1", "uvicorn==0.31.1")
PROJECT = {"PYTHONPATH": str(TESTS), "CREWAI_DISABLE_TELEMETRY": "true"}


def told(ended):
    """The inventory in a kickoff's result."""
    assert ended["status"] == "completed", ended
    return json.loads(bytes.fromhex(ended["result"]["output"]))


@pytest.fixture
def injected(make, payload, tmp_path):
    """`await injected(environment, "inventory:crew")`: a replica whose worker is put beside that environment."""

    async def start(venv, entrypoint, name="r1", **environ):
        return await make(
            name,
            worker=("/bin/sh", str(payload / "start")),
            CREWOPS_ENTRYPOINT=f"support.user_crews.{entrypoint}",
            CREWOPS_STATE=str(tmp_path),
            VIRTUAL_ENV=str(venv),
            **{**PROJECT, **environ},
        )

    return start


@pytest.mark.parametrize(
    ("requirements", "python"),
    [((CREWAI,), ""), (NEWEST, ""), (OLDEST, "3.11"), (OLDER, "3.12"), ((CREWAI,), "3.13"), (("crewai==1.14.7",), "")],
    ids=["crewai-alone", "newest", "oldest-pins", "older-pins-3.12", "3.13", "first-crewai"],
)
async def test_crew_finds_its_environment_as_it_was(environment, injected, requirements, python):
    venv = environment(*requirements, python=python)
    replica = await injected(venv, "inventory:crew")
    ended = await replica.ended(await replica.kickoff(message="hi"), 120)
    inside = told(ended)
    alone = json.loads(
        subprocess.run(
            [venv / "bin/python", "-m", "support.user_crews.inventory"],
            env={**replica.environ, **PROJECT, "VIRTUAL_ENV": str(venv)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()[-1]
    )
    assert inside == alone
    report = (await replica.report())["worker"]
    assert report["interpreter"] == f"{venv}/bin/python (by VIRTUAL_ENV)"
    assert [one for one in report["state"] if one["local"] and not one["by_nature"]] == []


async def test_two_images_with_different_libraries_share_one_memory(environment, injected):
    first = await injected(environment(*OLDEST, python="3.11"), "remembering:crew", "r1")
    second = await injected(environment(CREWAI), "remembering:crew", "r2")
    for writer, reader, nonce in ((first, second, "n-1"), (second, first, "n-2")):
        for replica, action in ((writer, "write"), (reader, "read")):
            answer = await replica.health.post("/proof", json={"action": action, "nonce": nonce})
            assert answer.json()["ok"], answer.text


async def test_spawned_slots_come_from_the_launcher_too(environment, injected, tmp_path):
    """An agent of the user's that starts a thread before CrewAI is there: the zygote may not fork."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='agent', daemon=True).start()\n"
    )
    replica = await injected(environment(CREWAI), "plain:crew", PYTHONPATH=f"{tmp_path}/early:{TESTS}")
    assert (await replica.report())["worker"]["fork_mode"] == "Spawn"
    ended = await replica.ended(await replica.kickoff(message="hi"), 120)
    assert ended["result"]["output"] == "two hi"


@pytest.mark.parametrize("name", ["redis", "queue", "crew_runtime"])
async def test_module_of_the_users_that_has_the_name_of_one_of_ours(environment, injected, tmp_path, name):
    """In the working directory, which comes first on the path as for `python -m`."""
    replica = await injected(environment(CREWAI), "plain:crew", start=False)
    replica.start_server()
    await replica.listening()
    (replica.folder / f"{name}.py").write_text("from collections import deque as Empty\nmine = True\n")
    replica.start_worker()
    await replica.ready()
    ended = await replica.ended(await replica.kickoff(message="hi"), 120)
    assert ended["result"]["output"] == "two hi"


async def test_image_whose_home_cannot_be_written(environment, injected, tmp_path):
    replica = await injected(environment(CREWAI), "inventory:crew", HOME="/proc")
    ended = await replica.ended(await replica.kickoff(message="hi"), 120)
    assert told(ended)["home"] == str(tmp_path)
