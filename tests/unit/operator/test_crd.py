from pathlib import Path

from crew_operator.api import crd

FILE = Path(__file__).parents[3] / "crds" / "crewdeployments.yaml"


def version():
    (found,) = crd.manifest()["spec"]["versions"]
    return found


def walk(schema, path="spec"):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from walk(inner, f"{path}.{name}")


def test_file_is_what_the_models_say():
    assert FILE.read_text() == crd.to_yaml(), "crds/crewdeployments.yaml is stale: run 'make crds'"


def test_every_field_of_spec_and_status_is_described():
    schema = version()["schema"]["openAPIV3Schema"]["properties"]
    fields = [*walk(schema["spec"], "spec"), *walk(schema["status"], "status")]
    # what is handed on to Kubernetes has Kubernetes' own description
    own = [(path, field) for path, field in fields if "conditions." not in path]
    assert [path for path, field in own if not field.get("description")] == []


def test_defaults_are_complete_to_the_leaves():
    redis = version()["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["redis"]
    assert redis["default"]["managed"]["storage"]["size"] == "1Gi"


def test_scale_and_status_are_subresources():
    assert version()["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"
    assert "status" in version()["subresources"]
