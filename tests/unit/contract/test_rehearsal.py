"""An answer of a rehearsal can be read by an older and by a newer reader."""

import json

from crew_runtime.contract import rehearsal
from crew_runtime.contract.report import StateKind


def test_an_answer_read_back_from_json_is_the_same():
    full = rehearsal.Answer(
        crewai_version="1.15.30",
        state=(StateKind("memory", "redis", local=False),),
        stores=(rehearsal.Store("memory", "crew", "redis", done=True, found=True),),
    )
    assert rehearsal.from_dict(json.loads(json.dumps(rehearsal.to_dict(full)))) == full


def test_fields_of_another_version_are_ignored():
    read = rehearsal.from_dict({"future": 1, "stores": [{"kind": "flow", "owner": "flow", "future": 2}]})
    assert read == rehearsal.Answer(stores=(rehearsal.Store("flow", "flow"),))
