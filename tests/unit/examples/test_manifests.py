"""Every CrewDeployment that the examples show can work."""

from pathlib import Path

import pytest
import yaml

from crew_operator.api import names, parse

EXAMPLES = Path(__file__).parents[3] / "examples"


def crew_deployments():
    for path in sorted(EXAMPLES.glob("*/crewdeployment.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest["kind"] == names.KIND:
                yield pytest.param(manifest, id=path.parent.name)


@pytest.mark.parametrize("manifest", list(crew_deployments()))
def test_an_example_parses_without_a_problem(manifest):
    manifest["metadata"]["namespace"] = "default"
    crew = parse.crew_deployment(manifest)
    assert manifest["apiVersion"] == names.API_VERSION
    assert crew.spec.replicas == 2


def test_the_declared_crew_holds_an_agent_for_each_that_its_tasks_name():
    (manifest,) = yaml.safe_load_all((EXAMPLES / "definition" / "crewdeployment.yaml").read_text())
    declared = manifest["spec"]["crew"]["definition"]["inline"]
    assert {task["agent"] for task in declared["tasks"]} == set(declared["agents"])
