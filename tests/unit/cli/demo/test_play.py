"""The demo's verdicts: what counts as passed, what is skipped, what the table says."""

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from crewctl.demo import play, script, show, stage, waiting
from crewctl.demo.guest import Answer
from crewctl.demo.stage import Asked, Hope
from crewctl.errors import CrewctlError

EXAMPLE = Path(__file__).parents[4] / "examples" / "concierge" / "crewdeployment.yaml"


class Watcher:
    """Keeps what it is shown."""

    def __init__(self):
        self.lines = []
        self.rows = []

    def begin(self, step):
        pass

    def line(self, text):
        self.lines.append(text)

    def end(self, row):
        self.rows.append(row)


def asked(hope, known):
    return Asked("question", Answer("reply", "concierge-1", 0.25, "ok"), hope, known)


def step(act):
    return script.Step("title", "words", act)


def refuse(_):
    raise CrewctlError("it cannot be done")


@pytest.fixture
def bare(tmp_path):
    """A stage without a cluster behind it: its kubectl finds no server."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "none",
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": ""}}],
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
            }
        )
    )
    from crew_programs import kubectl
    from crewctl import kube

    return stage.Stage(kube.Kube(kubeconfig), kubectl.Kubectl(kubeconfig), lambda *_: [], EXAMPLE, lambda _: None)


@pytest.mark.parametrize(
    ("hope", "known", "passed"),
    [
        (Hope.NOTED, False, True),
        (Hope.KNOWN, True, True),
        (Hope.KNOWN, False, False),
        (Hope.UNKNOWN, False, True),
        (Hope.UNKNOWN, True, False),
    ],
)
def test_a_step_passes_when_every_reply_was_as_hoped(hope, known, passed):
    row = play.Row(step(refuse), (asked(Hope.KNOWN, True), asked(hope, known)), 1.0)
    assert row.passed is passed


def test_after_a_step_that_cannot_be_done_the_rest_is_skipped_and_the_findings_are_shown(bare):
    watcher = Watcher()
    rows = play.play([step(refuse), step(refuse)], bare, watcher)
    assert [(row.failure, row.skipped, row.passed) for row in rows] == [
        ("it cannot be done", False, False),
        ("", True, False),
    ]
    assert "kubectl describe crewdeployment concierge" in watcher.lines[-1]


def test_a_wrong_reply_stops_nothing(bare):
    def forget(on):
        on.seen.append(asked(Hope.KNOWN, False))

    rows = play.play([step(forget), step(forget)], bare, Watcher())
    assert [row.skipped for row in rows] == [False, False]
    assert not any(row.passed for row in rows)


def test_without_memory_the_manifest_switches_it_off_in_the_crew_alone():
    with_it, without = (
        yaml.safe_load(text) for text in (EXAMPLE.read_text(), stage.without_memory(EXAMPLE.read_text()))
    )
    assert without["spec"]["crew"].pop("env") == [{"name": "CONCIERGE_MEMORY", "value": "off"}]
    assert without == with_it


def test_a_wait_in_vain_says_for_what_and_what_was_seen():
    with pytest.raises(waiting.WaitedInVainError, match=r"waited 0\.01 s for the moon; last seen: clouds"):
        waiting.wait_for(waiting.Deadline("the moon", 0.01), lambda: (None, "clouds"))


def test_the_table_has_a_line_for_each_question_and_names_a_leak():
    rows = [
        play.Row(step(refuse), (asked(Hope.KNOWN, True), asked(Hope.UNKNOWN, True)), 1.0),
        play.Row(step(refuse), (), 0.0, skipped=True),
    ]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(show.table(rows))
    text = console.export_text()
    assert "yes" in text
    assert "LEAKED" in text
    assert "not run" in text
