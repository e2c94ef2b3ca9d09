"""The patch fits the CrewAI that is installed, and does nothing to one that is another."""

from crew_runtime.crewai.state import task_outputs


def test_it_fits_the_installed_crewai():
    assert task_outputs.obstacle() == ""


def test_a_method_with_other_parameters_is_named(monkeypatch):
    class Other(getattr(task_outputs.original, task_outputs.PATCHED)):
        def load(self, kickoff_id):
            return []

    monkeypatch.setattr(task_outputs.original, task_outputs.PATCHED, Other)
    before = getattr(task_outputs.handler, task_outputs.PATCHED)
    assert ".load of this CrewAI" in task_outputs.obstacle()
    task_outputs.patch(outputs=None)
    assert getattr(task_outputs.handler, task_outputs.PATCHED) is before


def test_a_handler_that_makes_another_class_is_named(monkeypatch):
    monkeypatch.delattr(task_outputs.handler, task_outputs.PATCHED)
    assert "makes no" in task_outputs.obstacle()
