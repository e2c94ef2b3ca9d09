"""An attempt after a loss goes on behind the methods of a `@persist` flow that an earlier attempt has finished.

CrewAI alone offers half of it: `kickoff(inputs={"id": ...})` loads the state and runs every method again, and its
checkpoints skip finished methods but then give None to what listens to them, and lose what a router said (`_execute_
single_listener`, 1.15.30). So here each finished method, at its turn, gives what it gave before, without being run; and
the state is the one that was persisted with the last of them. Routers, loops and `and_` then find all as it was.
"""

import asyncio
import collections
import contextlib
import enum
import hashlib
import inspect
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import crewai
from crewai.flow.flow import Flow
from pydantic import BaseModel

from crew_runtime.crewai.human_input.reviews import HumanAnswer
from crew_runtime.crewai.outputs import usage
from crew_runtime.crewai.resuming.tasks import Course, Row, Start, same

log = logging.getLogger(__name__)

NOTHING_FINISHED = "no persisted method of an earlier attempt had finished"
CHANGED = "the flow was changed since an earlier attempt"
NOT_PERSISTED = "the flow has no @persist, so its state was not kept"
ASKS = "the flow asks people, and goes on from their last answer only"
CONVERSES = "a turn of a conversation is one step"
UNKNOWN = "the flows of this CrewAI work in a way that is not known"
_EXECUTE = "_execute_method"
_TELLING = {"start", "listen", "router", "emit"}
_PARAMETERS = ("method_name", "method", "args", "kwargs")


@contextlib.contextmanager
def flow(flow: Any, course: Course, answer: HumanAnswer | None, *, conversational: bool) -> Iterator[Start]:
    """Kick off `flow` within this context, as `Start` says."""
    if answer is not None:
        course.begun(str(answer.saved["context"]["method_name"]), 0, "")
        yield Start(answer, answer.saved)
        return
    if obstacle := _obstacle(flow, conversational=conversational):
        if course.attempt > 1:
            course.begun(None, 0, obstacle)
        yield Start()
        return
    replay = _Replay(flow, course)
    object.__setattr__(flow, _EXECUTE, replay.execute)
    try:
        yield Start(before=replay.before)
    finally:
        # A process may run more than one kickoff of the same object.
        object.__delattr__(flow, _EXECUTE)
    replay.over()


def _obstacle(flow: Any, *, conversational: bool) -> str:
    execute = getattr(flow, _EXECUTE, None)
    methods = getattr(getattr(flow, "_definition", None), "methods", None)
    if not callable(execute) or not isinstance(methods, Mapping) or not hasattr(flow, "_restore_state"):
        return UNKNOWN
    if tuple(inspect.signature(execute).parameters) != _PARAMETERS:
        return UNKNOWN
    if conversational:
        return CONVERSES
    if not any(_persisted(flow, name) for name in methods):
        return NOT_PERSISTED
    return ASKS if any(getattr(one, "human_feedback", None) is not None for one in methods.values()) else ""


def _persisted(flow: Any, method: str) -> bool:
    """Source: Flow._persist_method_completion, 1.15.30."""
    own = getattr(flow._definition.methods[method], "persist", None)
    found = own if own is not None else getattr(flow._definition, "persist", None)
    return bool(getattr(found, "enabled", False))


class _Replay:
    """Stands before the methods of one flow: those that have finished are not run, and what finishes is kept."""

    def __init__(self, flow: Any, course: Course) -> None:
        self._flow = flow
        self._course = course
        self._execute = getattr(flow, _EXECUTE)
        self._mark = _mark(flow)
        self._attributes = _attributes(flow)
        self._stopped = course.keep is None
        self._left: dict[str, collections.deque[Any]] = collections.defaultdict(collections.deque)
        self._state: Mapping[str, Any] | None = None
        self._done = 0
        self._last: str | None = None
        self._why = "" if course.attempt == 1 else self._load(course.rows[0] if course.rows else None)
        self._told = course.attempt == 1
        self._kept = bool(self._done)
        self.before = {"usage": course.rows[0].get("usage")} if self._done else None

    def _load(self, row: Row | None) -> str:
        """Take what an earlier attempt kept; why that cannot be, or ``."""
        if row is None:
            return NOTHING_FINISHED
        if row.get("flow") != self._mark or "outputs" not in row:
            return str(row.get("why") or CHANGED)
        try:
            given = [(str(one["method"]), _given(one)) for one in row["outputs"]]
            _state(self._flow, row["state"])
        except Exception as error:  # noqa: BLE001 - a class that is gone, or has other fields now
            log.warning("finished methods cannot be restored: %r", error)
            return CHANGED
        for method, output in given:
            self._left[method].append(output)
        self._state, self._done, self._last = row["state"], len(given), given[-1][0]
        return ""

    async def execute(self, method_name: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
        """In place of `Flow._execute_method`."""
        flow, name = self._flow, str(method_name)
        if self._state is not None:
            # Only now: the start of a kickoff has put the state of before it and the inputs there.
            flow._restore_state(dict(self._state))
            self._state = None
        if self._left[name]:
            output = self._left[name].popleft()
            flow._method_outputs.append({"method": name, "output": output})
            flow._method_execution_counts[method_name] = flow._method_execution_counts.get(method_name, 0) + 1
            flow._completed_methods.add(method_name)
            return output, None
        self._tell(name)
        result = await self._execute(method_name, method, *args, **kwargs)
        if not self._stopped and _persisted(flow, name):
            await asyncio.to_thread(self._keep, name)
        return result

    def over(self) -> None:
        """The flow has ended well."""
        self._tell(self._last)

    def _tell(self, method: str | None) -> None:
        if not self._told:
            self._told = True
            self._course.begun(None if self._why else method, self._done, self._why)

    def _keep(self, method: str) -> None:
        keep = self._course.keep
        if keep is None:
            return
        try:
            keep(0, self._row())
            self._kept = True
        except Exception as error:  # noqa: BLE001 - the flow goes on whatever its author's types do
            self._stopped = True
            log.warning("the method %s cannot be kept: %s", method, error)
            if not self._kept:
                with contextlib.suppress(Exception):
                    keep(0, {"flow": self._mark, "why": f"what the method {method} left cannot be kept: {error}"})

    def _row(self) -> Row:
        flow = self._flow
        if _attributes(flow) != self._attributes:
            raise ValueError("the flow keeps more in itself than its state")
        state = flow._state if isinstance(flow._state, dict) else flow._state.model_dump(mode="json")
        if _state(flow, state) != flow._state:
            raise ValueError("the state is not the same again when it is read back from JSON")
        return {
            "flow": self._mark,
            "outputs": [{"method": one["method"], **_taken(one["output"])} for one in list(flow._method_outputs)],
            "state": json.loads(json.dumps(state)),
            "usage": usage.total(usage.since(flow.usage_metrics, {}), (self.before or {}).get("usage")),
        }


def _mark(flow: Any) -> str:
    """What tells a flow from one that was changed: its name, its methods, what each waits for; and CrewAI's version."""
    definition = flow._definition
    methods = {str(name): one.model_dump(mode="json", include=_TELLING) for name, one in definition.methods.items()}
    text = json.dumps([crewai.__version__, definition.name, methods], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _attributes(flow: Any) -> Mapping[str, int]:
    """What a flow keeps in itself, besides CrewAI's own and its state."""
    crewais = type(flow).model_fields
    return {name: id(one) for name, one in vars(flow).items() if name not in crewais and not hasattr(Flow, name)}


def _state(flow: Any, state: Any) -> Any:
    """The state out of JSON, of the flow's own type. Raises ValueError."""
    if isinstance(flow._state, BaseModel):
        return type(flow._state).model_validate(state)
    if not _survives(state):
        raise ValueError("the state is no JSON")
    return dict(state)


def _taken(output: Any) -> Mapping[str, Any]:
    """What a method gave, as JSON and the name of its class. Raises ValueError when it would not be the same again."""
    value, kind = output, ""
    if isinstance(output, enum.Enum):
        value, kind = output.value, _path(type(output))
    elif isinstance(output, BaseModel):
        value, kind = output.model_dump(mode="json"), _path(type(output))
    taken = {"type": kind, "value": value}
    if not _survives(value) or not same(_given(taken), output):
        raise ValueError(f"the type {type(output).__name__} is not the same again when it is read back from JSON")
    return taken


def _survives(value: Any) -> bool:
    try:
        return same(json.loads(json.dumps(value)), value)
    except (TypeError, ValueError, RecursionError):
        return False


def _given(taken: Mapping[str, Any]) -> Any:
    if not taken["type"]:
        return taken["value"]
    module, _, name = str(taken["type"]).partition(":")
    # Only what the flow's own imports have brought: a row must not choose what is imported.
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    if isinstance(found, type) and issubclass(found, enum.Enum):
        return found(taken["value"])
    if isinstance(found, type) and issubclass(found, BaseModel):
        return found.model_validate(taken["value"])
    raise ValueError(f"{taken['type']} is no model")


def _path(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
