"""Nobody else on the machine reads a local cluster's files: who has the API server's address may do all in it."""

import os
from pathlib import Path

import httpx
import pytest

from localcluster import launch
from support.waiting import eventually

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "writer", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "writer",
                "image": "redis:8",
                "command": ["/bin/sh", "-c", "echo said; echo kept > /data/file; sleep 60"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


@pytest.fixture
def handle(tmp_path):
    before = os.umask(0o022)
    folder = tmp_path / "cluster"
    for name in ("logs", "volumes"):  # as an older version left them
        (folder / name).mkdir(parents=True)
    (folder / "kubeconfig").write_text("old")
    made = launch.in_background(launch.Wish(folder=folder, with_operator=False))
    os.umask(before)
    yield made
    made.stop()


def files(*folders):
    return [path for folder in folders for path in (folder, *folder.rglob("*"))]


async def test_every_file_and_folder_is_its_owners_alone(handle, tmp_path):
    folder, run = tmp_path / "cluster", Path(handle.run)
    async with httpx.AsyncClient(base_url=handle.url, trust_env=False) as http:
        answer = await http.post("/api/v1/namespaces/default/pods", json=POD)
        assert answer.status_code == 201, answer.text

    async def written():
        found = {path.name: path.stat().st_mode & 0o777 for path in files(run) if path.is_file()}
        return found.get("file")

    assert await eventually(written, "the pod has written into its volume", 20) == 0o600
    names = {"cluster.json", "kubeconfig", "supervisor.log", "logs", "volumes"}
    assert names <= {path.name for path in folder.iterdir()}
    assert any(path.suffix == ".log" for path in files(folder / "logs"))
    # the folder itself was there: whoever made it says who may look at its names
    for path in [run, *files(*folder.iterdir())]:
        assert path.stat().st_mode & 0o077 == 0, f"{path}: {path.stat().st_mode:o}"
