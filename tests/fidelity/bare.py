"""One kickoff as `python main.py` would do it: the user's module is imported, its crew kicked off, the process ends.

`bare.py MODULE:ATTRIBUTE KICKOFF RESULT`: KICKOFF is JSON of `inputs`, `session` and `message`; what came out is
written to the file RESULT. Answers of a person come in on stdin, as on a console. Knows CrewAI and nothing of ours.
"""

import importlib
import inspect
import json
import sys
from pathlib import Path
from typing import Any


def main(entrypoint: str, kickoff: dict[str, Any], result: Path) -> None:
    """Writes the observation; an exit of the crew's own is one, too."""
    seen: dict[str, Any] = {}
    try:
        seen = observe(*kick_off(entrypoint, kickoff))
    except Exception as error:
        seen = failure(error)
    except SystemExit as error:
        seen = failure(error)
    result.write_text(json.dumps(seen))


def failure(error: BaseException) -> dict[str, Any]:
    return {"status": "error", "error": {"type": type(error).__name__, "message": str(error)}}


def kick_off(entrypoint: str, kickoff: dict[str, Any]) -> tuple[Any, Any]:
    """What was kicked off, and what it returned."""
    module, _, attribute = entrypoint.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    inputs, session = dict(kickoff["inputs"]), kickoff["session"]
    made = found() if inspect.isclass(found) or not hasattr(found, "kickoff") else found
    if getattr(type(made), "is_crew_class", False):
        made = made.crew()
    if kickoff["turn"]:
        return made, made.handle_turn(inputs["message"], session_id=session)
    if session and hasattr(made, "state"):
        # How one goes on with a persisted flow.
        inputs["id"] = session
    returned = made.kickoff(inputs=inputs)
    if hasattr(returned, "is_completed"):  # of a streaming crew
        for _ in returned:
            pass
        returned = returned.result
    return made, returned


def observe(made: Any, returned: Any) -> dict[str, Any]:
    """In JSON's types, by pydantic's own JSON mode."""
    tasks = getattr(returned, "tasks_output", None)
    if tasks is None and hasattr(made, "tasks"):
        # A callback may return anything else; the tasks were done all the same.
        tasks = [one.output for one in made.tasks if one.output is not None]
    usage = getattr(returned, "token_usage", None) if hasattr(returned, "raw") else getattr(made, "usage_metrics", None)
    return {
        "status": "completed",
        "output": returned.raw if hasattr(returned, "raw") else _json(returned),
        "json": _structured(made, returned),
        "tasks": [{"name": one.name, "output": one.raw, "agent": one.agent} for one in tasks or ()],
        "usage": _json(usage),
    }


def _structured(made: Any, returned: Any) -> Any:
    if hasattr(returned, "raw"):
        return _json(returned.json_dict or returned.pydantic)
    if returned is not None and not isinstance(returned, str | list | int | float | bool):
        return _json(returned)
    return _json(made.state) if hasattr(made, "state") else None


def _json(value: Any) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, fallback=str)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))
