"""Facts -> findings, each with a remedy. Pure: asks nobody, and no clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from crew_runtime.contract import env, resource
from crew_runtime.contract.reasons import BY_WORD, Reason
from crew_runtime.contract.report import FORK, PRELOAD, SPAWN, WorkerReport
from crewctl import __version__
from crewctl.doctor.facts import Facts, Manifest, Replica, Step
from crewctl.findings import Finding, Level

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL

PROOF_AGE = 7800.0
"""Seconds: the operator repeats its proof every 300 and writes so hourly; two that are missing are no accident."""
ACTED_WITHIN = 60.0
"""Seconds in which an operator that lives has acted on a change; an event tells it."""
SESSION_SETTINGS = (env.KEY_PREFIX, env.MEMORY_ISOLATION, env.SESSION_TTL, env.REDIS_URL)
"""What decides where the memories of a session id lie."""
OLDEST_REDIS = 7
SHARING = {
    env.PER_KICKOFF: "one for each kickoff, which then ends",
    env.PER_SESSION: "one for the kickoffs of one session, and never for two sessions",
    env.SHARED: "one for kickoffs of any session, one after the other",
}
OWN_EMBEDDER = {"@module": "the embedder of your crew"}
MAKING = {
    PRELOAD: "a fork that has your module already",
    FORK: "a fork that imports your module itself",
    SPAWN: "a new interpreter that imports CrewAI and your module",
}


@dataclass(frozen=True)
class Section:
    """A question, and what was found."""

    question: str
    findings: tuple[Finding, ...]


def judge(facts: Facts) -> tuple[Section, ...]:
    """The answer to each question, in the order in which they are asked."""
    return (
        Section("Is it deployed as it was asked for, and does the operator act on it?", tuple(_deployed(facts))),
        Section("Does a session id mean the same everywhere?", tuple(_sessions(facts))),
        Section("Where is each kind of state?", tuple(_places(facts))),
        Section("Do the replicas agree?", tuple(_agreement(facts))),
        Section("Did every provider come up?", tuple(_providers(facts))),
        Section("Do the versions fit?", tuple(_versions(facts))),
    )


# The deployment ------------------------------------------------------------------------------------------------------


def _deployed(facts: Facts) -> Iterator[Finding]:
    yield from _operator(facts)
    yield from _conditions(facts)
    wanted = int((facts.crew.get("spec") or {}).get("replicas", 1))
    ready = sum(1 for one in facts.replicas if one.pod_ready)
    level = OK if ready == wanted else FAIL if ready < wanted else WARN
    remedy = "" if ready == wanted else "see the replicas below; during a rollout wait for it to end"
    yield Finding(level, "replicas", f"{ready} of {wanted} are ready", remedy)
    for one in facts.replicas:
        if one.trouble:
            yield Finding(FAIL, one.name, one.trouble, f"kubectl describe pod {one.name}")
    if facts.redis_trouble:
        pod = resource.redis_pod(str(facts.crew["metadata"]["name"]))
        yield Finding(FAIL, "redis", facts.redis_trouble, f"kubectl describe pod {pod}")
    if facts.directly:
        text = "the API server's pod proxy was of no use; pods were asked at their own addresses"
        yield Finding(WARN, "access", text, "allow `get` and `create` on pods/proxy to whoever asks")


def _operator(facts: Facts) -> Iterator[Finding]:
    metadata, status = facts.crew["metadata"], facts.crew.get("status") or {}
    generation, seen = int(metadata.get("generation", 0)), int(status.get("observedGeneration") or 0)
    remedy = "see whether the operator runs: kubectl get pods -A -l app.kubernetes.io/name=crew-operator, and its log"
    changed = facts.now - _changed(metadata)
    if seen < generation:
        level = FAIL if changed > ACTED_WITHIN else WARN
        text = f"has not acted on generation {generation} (it knows {seen}), changed {_age(changed)} ago"
        yield Finding(level, "operator", text, remedy if level is FAIL else "wait a few seconds")
        return
    proven = _time((status.get("memory") or {}).get("lastProof", {}).get("time"))
    if _status_of(facts.crew, resource.ConditionType.MEMORY_SHARED) == "True" and facts.now - proven > PROOF_AGE:
        text = f"its last proof is {_age(facts.now - proven)} old, and it writes of one every hour: it seems dead"
        yield Finding(FAIL, "operator", text, remedy)
        return
    age = f"; its last proof is {_age(facts.now - proven)} old" if proven else ""
    yield Finding(OK, "operator", f"has acted on the newest generation, {generation}{age}")


def _conditions(facts: Facts) -> Iterator[Finding]:
    generation = int(facts.crew["metadata"].get("generation", 0))
    found = {str(one.get("type")): one for one in (facts.crew.get("status") or {}).get("conditions") or ()}
    for type_ in resource.ConditionType:
        one = found.get(type_.value)
        if one is None:
            yield Finding(WARN, type_.value, "the operator has not written it", "wait, or check the operator")
            continue
        reason = str(one.get("reason", ""))
        # its message may end in the remedy, which stands beside it here
        message = str(one.get("message", "")).removesuffix(_remedy(reason, "")).rstrip(". ")
        text = f"{one.get('status')} {reason}: {message}"
        remedy = _remedy(reason, "see docs/conditions.md")
        if int(one.get("observedGeneration") or 0) < generation:
            yield Finding(WARN, type_.value, f"of an older generation: {text}", "wait for the operator")
        elif one.get("status") == "True":
            yield Finding(OK, type_.value, text)
        else:
            yield Finding(FAIL if one.get("status") == "False" else WARN, type_.value, text, remedy)


# Sessions ------------------------------------------------------------------------------------------------------------


def _sessions(facts: Facts) -> Iterator[Finding]:
    if not facts.replicas:
        yield Finding(WARN, "sessions", "there is no replica to compare", "scale the crew up")
        return
    rolling = _is_rolling(facts)
    differing = False
    for name in SESSION_SETTINGS:
        given = {
            f"{one.name}/{container}": variables.get(name, "")
            for one in facts.replicas
            for container, variables in one.settings.items()
        }
        if len(set(given.values())) > 1:
            differing = True
            told = "; ".join(f"{value or 'unset'} in {', '.join(who)}" for value, who in _grouped(given))
            remedy = "wait for the rollout to end" if rolling else "kubectl rollout restart the crew's Deployment"
            yield Finding(WARN if rolling else FAIL, name, told, remedy)
    if not differing:
        one = next(iter(facts.replicas[0].settings.values()), {})
        isolation, ttl = one.get(env.MEMORY_ISOLATION) or "Session", one.get(env.SESSION_TTL)
        kept = f"kept for {_age(float(ttl))} after their last use" if ttl else "kept for ever"
        whose = "of each session apart" if isolation == "Session" else "of all sessions together"
        text = f"both halves of {len(facts.replicas)} replicas use prefix {one.get(env.KEY_PREFIX, '')}; "
        yield Finding(OK, "settings", f"{text}memories {whose}, {kept}")


# Places --------------------------------------------------------------------------------------------------------------


def _places(facts: Facts) -> Iterator[Finding]:
    reported = [kind for _, report in facts.heard for kind in report.worker.state]
    # What is local by nature is no finding: docs/state.md names it.
    kinds = sorted({kind.kind for kind in reported if not kind.by_nature}, key=_importance)
    for name in kinds:
        found = [(one, kind) for one, report in facts.heard for kind in report.worker.state if kind.kind == name]
        where = {one.name: kind.backend for one, kind in found}
        local = [(one, kind) for one, kind in found if kind.local]
        places = "; ".join(f"{value} in {', '.join(who)}" for value, who in _grouped(where))
        text = found[0][1].backend if len(set(where.values())) == 1 else places
        if not local:
            yield Finding(OK, name, text)
            continue
        detail = local[0][1].detail
        told = f"{text}: local to {', '.join(one.name for one, _ in local)}" + (f" ({detail})" if detail else "")
        yield Finding(FAIL, name, told, "see docs/state.md; `crewctl verify` finds it before a deployment")
    if not kinds:
        yield Finding(WARN, "state", "no replica has said where its state lies", "see the providers below")


def _importance(kind: str) -> tuple[int, str]:
    order = ("memory", "flow", "locks")
    return (order.index(kind) if kind in order else len(order), kind)


# Agreement -----------------------------------------------------------------------------------------------------------


def _agreement(facts: Facts) -> Iterator[Finding]:
    proof = facts.proof
    if proof is None:
        yield Finding(FAIL, "proof", "no replica could be asked to prove anything", "see the providers below")
        return
    if not proof.written.done:
        text = f"{proof.written.replica} could not write a nonce: {proof.written.error or 'no reason given'}"
        yield Finding(FAIL, "proof", text, "see its memory backend below")
    for step in proof.read:
        yield _of_reader(proof.written, step)
    unasked = {one.name for one in facts.replicas} - {proof.written.replica, *(one.replica for one in proof.read)}
    if proof.written.done:
        for name in sorted(unasked):
            yield Finding(FAIL, name, "took no part in the proof: it was not heard", "see the providers below")


def _of_reader(written: Step, step: Step) -> Finding:
    if step.replica == written.replica:
        text, remedy = "the only replica that took part read back what it wrote", ""
        if step.done and step.found:
            return Finding(OK, step.replica, text, remedy)
    if step.done and step.found:
        return Finding(OK, step.replica, f"found what {written.replica} wrote")
    if step.done:
        return Finding(
            FAIL, step.replica, f"did not find what {written.replica} wrote", "compare their memory's place above"
        )
    return Finding(FAIL, step.replica, f"could not read: {step.error}", "see its memory backend below")


# Providers -----------------------------------------------------------------------------------------------------------


def _providers(facts: Facts) -> Iterator[Finding]:
    for one in facts.replicas:
        if one.unreadable:
            text = f"is not believed: {one.unreadable}"
            yield Finding(FAIL, one.name, text, "no replica says that: see what its image answers with at port 8081")
            continue
        if one.report is None:
            text = f"was not heard: {one.unreachable}"
            yield Finding(FAIL, one.name, text, "let the API server reach port 8081 of the pods (NetworkPolicy)")
            continue
        yield from _of_replica(one)
    yield from _embedder(facts)


def _of_replica(one: Replica) -> Iterator[Finding]:
    report = one.report
    if report is None:
        return
    backend, worker = report.backend, report.worker
    if report.phase != "ready":
        text = f"the worker is {report.phase}" + (f": {report.reason}: {report.message}" if report.reason else "")
        remedy = _remedy(report.reason, f"kubectl logs {one.name} -c crew")
        yield Finding(FAIL if report.phase == "failed" else WARN, f"{one.name} worker", text, remedy)
    elif one.readiness is not None and not one.readiness.ready and backend.ready:
        text = f"not ready: {one.readiness.reason}: {one.readiness.message}"
        yield Finding(FAIL, f"{one.name} worker", text, f"kubectl logs {one.name} -c crew; delete the pod if it stays")
    else:
        slots = f"{report.slots} processes for {report.concurrency} kickoffs at once"
        yield Finding(OK, f"{one.name} worker", f"ready, {slots}")
        yield from _processes(one.name, worker)
        yield from _rehearsal(one.name, worker)
    if backend.ready:
        yield Finding(OK, f"{one.name} backend", f"answered PING and a write in {backend.latency * 1000:.1f} ms")
    else:
        text = f"{backend.reason}: {backend.message or 'Redis was not asked yet'}"
        yield Finding(FAIL, f"{one.name} backend", text, "see MemoryReady and docs/failure-modes.md")
    if one.failures:
        last = one.failures[-1]
        words = last.message.strip().partition("\n")[0][:200]
        hidden = f" (its text could not be read: {one.texts_missing})" if one.texts_missing else ""
        text = f"{len(one.failures)} of late; the last: {last.kind}{f': {words}' if words else ''}{hidden}"
        remedy = f"GET /status/{last.kickoff_id}" if last.kickoff_id else f"kubectl logs {one.name} -c crew"
        yield Finding(WARN, f"{one.name} failures", text, remedy)


def _processes(replica: str, worker: WorkerReport) -> Iterator[Finding]:
    """Which kickoffs share a process, how it comes to be and why so, and what warms it up."""
    subject = f"{replica} processes"
    if not worker.fork_mode:
        yield Finding(WARN, subject, "the replica does not say how a kickoff's process comes to be", "see its log")
        return
    shared = SHARING.get(worker.processes, worker.processes or "an older replica: it may serve several sessions")
    made = MAKING.get(worker.fork_mode, worker.fork_mode)
    warm = (
        f"; before a kickoff it calls {', '.join(OWN_EMBEDDER.get(one, one) for one in worker.warm_up)}"
        if worker.warm_up
        else ""
    )
    text = f"{shared}; {made} ({worker.fork_reason or 'no reason given'}){warm}"
    if worker.fork_mode == SPAWN:
        remedy = "start or open that in a function, neither before CrewAI nor at import: see docs/how-your-crew-runs.md"
        yield Finding(WARN, subject, text, remedy)
    else:
        yield Finding(OK, subject, text)


def _rehearsal(replica: str, worker: WorkerReport) -> Iterator[Finding]:
    """Whether a kickoff was seen to work before the first one."""
    subject = f"{replica} rehearsal"
    left_out = f"not run: {'; '.join(worker.rehearsal_left_out)}" if worker.rehearsal_left_out else ""
    if not worker.rehearsal:
        yield Finding(WARN, subject, "the replica does not say how its rehearsal of a kickoff ended", "see its log")
    elif worker.rehearsal_note:
        text = "; ".join(filter(None, (f"whether a kickoff works was not seen: {worker.rehearsal_note}", left_out)))
        yield Finding(WARN, subject, text, "see how a kickoff ends: GET /status/ID")
    elif left_out:
        yield Finding(OK, subject, f"a kickoff went through without the crew's own code; {left_out}")
    else:
        yield Finding(OK, subject, "a rehearsed kickoff worked, with stand-ins for the LLM's answers")


def _embedder(facts: Facts) -> Iterator[Finding]:
    users = [(one, report.worker) for one, report in facts.heard if report.worker.uses_memory]
    if not users:
        if facts.heard:
            yield Finding(OK, "embedder", "not used: the crew has no memory")
        return
    given = {one.name: worker.embedder or "CrewAI's default" for one, worker in users}
    if len(set(given.values())) > 1:
        told = "; ".join(f"{value} in {', '.join(who)}" for value, who in _grouped(given))
        yield Finding(FAIL, "embedder", told, "one embedder for all replicas: vectors of two do not compare")
        return
    stored = {worker.dimension for _, worker in users if worker.dimension}
    declared = ((facts.crew.get("spec") or {}).get("memory") or {}).get("embedder") or {}
    wanted = declared.get("dimension")
    text = f"{next(iter(given.values()))}; the store holds vectors of {', '.join(map(str, sorted(stored))) or 'none'}"
    if wanted and stored - {wanted}:
        remedy = "correct spec.memory.embedder.dimension, or use another spec.memory.keyPrefix for a new store"
        yield Finding(FAIL, "embedder", f"{text}, and the spec declares {wanted}", remedy)
    else:
        yield Finding(OK, "embedder", text)


# Versions ------------------------------------------------------------------------------------------------------------


def _versions(facts: Facts) -> Iterator[Finding]:
    reports = [report for _, report in facts.heard]
    if not reports:
        yield Finding(WARN, "versions", "no replica was heard", "see the providers above")
        return
    rebuild = "roll all replicas out with one image"
    yield _one_version("CrewAI", (report.worker.crewai_version for report in reports), rebuild)
    yield _one_version("redis-py", (report.worker.redis_py_version for report in reports), rebuild)
    halves = {report.worker.runtime_version for report in reports} | {report.server_version for report in reports}
    runtime = _one_version("runtime", halves, "use one version of crew-runtime in the image and of the sidecar's image")
    if runtime.level is OK and __version__ not in halves:
        text = f"{runtime.message}, and this crewctl is {__version__}"
        runtime = Finding(WARN, "runtime", text, "use a crewctl of the same version: it may misread what is reported")
    yield runtime
    server = _one_version("Redis", (report.backend.server_version for report in reports), "point all at one server")
    major = server.message.removeprefix("valkey ").partition(".")[0]
    if server.level is OK and major.isdigit() and int(major) < OLDEST_REDIS:
        server = Finding(
            WARN, "Redis", f"{server.message} is older than what is tested", f"use {OLDEST_REDIS} or newer"
        )
    yield server


def _one_version(what: str, found: Iterable[str], remedy: str) -> Finding:
    known = sorted({one for one in found if one})
    if not known:
        return Finding(WARN, what, "no replica says which", "older replicas do not; else see the providers above")
    if len(known) > 1:
        return Finding(FAIL, what, f"replicas differ: {', '.join(known)}", remedy)
    return Finding(OK, what, known[0])


# Helpers -------------------------------------------------------------------------------------------------------------


def _remedy(reason: str, otherwise: str) -> str:
    """Of a reason that docs/conditions.md knows."""
    return BY_WORD[reason].remedy if reason in BY_WORD else otherwise


def _status_of(crew: Manifest, type_: resource.ConditionType) -> str:
    conditions = (crew.get("status") or {}).get("conditions") or ()
    return next((str(one.get("status")) for one in conditions if one.get("type") == type_.value), "")


def _is_rolling(facts: Facts) -> bool:
    rolling = (resource.ConditionType.PROGRESSING.value, Reason.ROLLING_OUT.word)
    conditions = (facts.crew.get("status") or {}).get("conditions") or ()
    return any((one.get("type"), one.get("reason")) == rolling for one in conditions)


def _grouped(given: dict[str, str]) -> list[tuple[str, list[str]]]:
    """(value, who has it), the rarest value last."""
    values: dict[str, list[str]] = {}
    for who, value in given.items():
        values.setdefault(value, []).append(who)
    return sorted(values.items(), key=lambda one: -len(one[1]))


def _changed(metadata: Manifest) -> float:
    """When somebody else than the status' writer last wrote it."""
    times = [one.get("time") for one in metadata.get("managedFields") or () if one.get("subresource") != "status"]
    return max(map(_time, [*times, metadata.get("creationTimestamp")]))


def _time(text: object) -> float:
    """Unix time of what Kubernetes writes; 0 of nothing."""
    return datetime.fromisoformat(str(text)).timestamp() if text else 0.0


def _age(seconds: float) -> str:
    whole = max(0, int(seconds))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
