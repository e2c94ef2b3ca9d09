"""What can be said of the chart without helm: its copy of the CRD is current, and its schema fits its values."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from crew_operator.api import crd

CHART = Path(__file__).parents[3] / "charts" / "crew-operator"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_copy_of_the_crd_is_current():
    copy = (CHART / "files" / "crewdeployments.yaml").read_text()
    assert copy == crd.to_yaml(), "the chart's CRD is stale: run 'make crds'"


def test_values_fit_the_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def test_schema_knows_every_value():
    assert set(SCHEMA["properties"]) - {"global"} == set(VALUES)


@pytest.mark.parametrize("wrong", [{"replicaCount": -1}, {"replicas": 1}, {"watchNamespaces": "default"}])
def test_a_wrong_value_is_refused(wrong):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **wrong}, SCHEMA)


def leaves(schema, path=""):
    """Every value that the schema knows one by one."""
    for name, one in schema["properties"].items():
        below = f"{path}{name}"
        yield from leaves(one, f"{below}.") if "properties" in one else [below]


def test_every_value_has_a_place_in_the_readme():
    table = (CHART / "README.md").read_text().partition("## Values")[2]
    assert [one for one in leaves(SCHEMA) if one != "global" and f"`{one}`" not in table] == []


def test_every_value_has_a_comment():
    lines = (CHART / "values.yaml").read_text().splitlines()
    above = zip(lines, ["", *lines], strict=False)
    assert [line for line, before in above if line[:1].isalpha() and not before.startswith("#")] == []
