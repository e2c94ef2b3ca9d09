"""The patch fits the CrewAI that is installed, and does nothing to one that is another."""

from crewai.state.provider.json_provider import JsonProvider

from crew_runtime.crewai.state import checkpoints


def test_it_fits_the_installed_crewai():
    assert checkpoints.obstacle() == ""


def test_a_method_with_other_parameters_is_named(monkeypatch):
    monkeypatch.setattr(JsonProvider, "prune", lambda self, folder: 0)
    assert "JsonProvider.prune" in checkpoints.obstacle()
    before = JsonProvider.checkpoint
    checkpoints.patch(checkpoints=None)
    assert JsonProvider.checkpoint is before
    assert not checkpoints.in_force()
