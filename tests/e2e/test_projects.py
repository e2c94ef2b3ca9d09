"""What `crewai create crew` writes runs as it is, from the image that its author makes of it, and remembers."""

import pytest

from crew_programs.errors import ProgramError
from support.hotel import Hotel
from support.real_cluster import RealCluster, images

INPUTS = {"topic": "peanuts", "current_year": "2026"}


@pytest.fixture(scope="module", autouse=True)
def real(cluster):
    if not isinstance(cluster, RealCluster):
        pytest.skip("needs real images: `make e2e KUBECONFIG=...`")


@pytest.mark.parametrize("image", ["project", "distroless"])
def test_a_project_runs_and_remembers(cluster, namespace, model, image):
    desk = Hotel(cluster, namespace, image)
    crew = {"image": f"{images()}/{image}:dev", "entrypoint": "desk.crew:Desk", "env": model}
    desk.apply(crew=crew, memory={"embedder": None})
    desk.wait_ready()
    one, other = desk.replicas()
    told = cluster.ask(one, "kickoff?wait=60", {"inputs": INPUTS, "session_id": "ada"}, 70, desk.token()).json()
    assert (told["status"], told["memory"]) == ("completed", "ok"), told
    kept = cluster.ask(other, "sessions/ada", token=desk.token()).json()
    assert kept["records"] > 0, kept
    found = desk.condition("RuntimeCompatible")
    assert "in /app/.venv/bin/python (by the working directory)" in found["message"]
    if image == "distroless":
        with pytest.raises(ProgramError, match="no such file"):  # else it would prove nothing
            desk.kubectl("exec", one["metadata"]["name"], "-c", "crew", "--", "/bin/sh", "-c", "true")
    desk.kubectl("delete", "crewdeployment", image)
