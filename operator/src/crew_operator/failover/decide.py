"""(who is there, what they say, who is on record) -> the next step. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from crew_operator.failover.facts import Answer, Contact, Leaving, Member, Picture, Record, Suspicion

QUORUM = 2
"""Members of three that have to be sealed: an acknowledged write lies on two, so one of any two has it."""
SILENT_AFTER = 2.0
"""Seconds without an answer, or without a word from the primary, after which it counts as gone."""
ALONE_AFTER = 2.0
"""Seconds in which a primary had no replica, though both others answer, after which they go on without it."""
REFUSALS = 2
"""Refused connections in a row: a process that listens never refuses, and one that starts again is seen to be new."""


@dataclass(frozen=True)
class Wait:
    """Nothing can be done; why, for people."""

    why: str
    sure: bool = True
    """That there is no primary; else the one on record may only be slow."""


@dataclass(frozen=True)
class Adopt:
    """A writable primary that nobody has put on record is the primary: it ran alone before, or the record is lost."""

    member: Member
    term: int


@dataclass(frozen=True)
class Seal:
    """The primary is gone: these replicate from nobody from now on."""

    members: tuple[Member, ...]
    why: str


@dataclass(frozen=True)
class Elect:
    """Enough members are sealed: this one has all that was acknowledged."""

    member: Member
    term: int
    why: str
    alone: bool = False
    """It goes on without others, as it did: it needs no replica."""


@dataclass(frozen=True)
class Keep:
    """The primary on record serves: these are to follow it, and these were primaries and are not any more."""

    primary: Member
    term: int
    follow: tuple[Member, ...] = ()
    demoted: tuple[Member, ...] = ()
    """Those of `follow` that took writes: their clients have to leave."""
    name_term: bool = False
    """Its data do not say their term yet."""
    fence: bool = False
    """It would take writes without a replica, as one that ran alone, and has one now."""
    whole: bool = False
    """All members are there, and follow."""


@dataclass(frozen=True)
class Alone:
    """The others leave: this one serves without them, whatever they are."""

    member: Member
    term: int
    fenced: bool = False
    """It takes no write without a replica: it has to."""


Step = Wait | Adopt | Seal | Elect | Keep | Alone


def suspicion(picture: Picture, before: Suspicion, now: float) -> Suspicion:
    """What the last look at the primary on record adds to what was gathered against it."""
    record = picture.record
    look = picture.look(record.primary) if record is not None else None
    if record is None or look is None:
        return Suspicion()
    term = record.term
    if before.term != term:
        before = Suspicion(term)
    match look.contact:
        case Contact.REFUSES:
            return Suspicion(term, refused=before.refused + 1)
        case Contact.SILENT:
            return Suspicion(term, silent_since=before.silent_since or look.at)
    alone = _is_alone(picture, record.primary)
    return Suspicion(term, alone_since=(before.alone_since or now) if alone else 0.0)


def step(picture: Picture, suspicion: Suspicion, now: float) -> Step:
    """The next step. `now`: seconds of the monotonic clock that looks have."""
    record = picture.record
    if record is None and picture.leaving and picture.replicas == 1:
        return Wait("the others are gone, and so is the record", sure=False)
    if record is None:
        return _unrecorded(picture)
    if record.is_alone:
        return _alone(picture, record)
    primary, answer = picture.member(record.primary), picture.answer(record.primary)
    if primary is not None and answer is not None and answer.is_primary:
        if suspicion.alone_since and now - suspicion.alone_since >= ALONE_AFTER:
            why = f"{record.primary} has been cut off from the other members for {ALONE_AFTER:g} s"
            return _seal_or_elect(picture, why, without=record.primary)
        if record.whole and not answer.fenced:
            # As one that runs alone begins, from its own disk, which may lack what its replicas have acknowledged. Its
            # clients count on with each write that nobody acknowledges: its position is greater than what it has.
            others = [said for one, said in picture.answering if one.name != record.primary]
            without = record.primary if sum(_may_vote(record, one) for one in others) >= QUORUM else ""
            return _seal_or_elect(picture, f"{record.primary} was started again", without=without)
        return _keep(picture, primary, answer, record.term)
    why = _gone(picture, primary, answer, suspicion, now)
    if not why:
        return Wait(
            f"the primary {record.primary} does not answer, and it is not certain yet that it is gone", sure=False
        )
    return _seal_or_elect(picture, why)


def _is_alone(picture: Picture, name: str) -> bool:
    """A primary that answers and can have no write acknowledged, when the others answer and could go on without it."""
    answer = picture.answer(name)
    others = [said for one, said in picture.answering if one.name != name]
    return (
        answer is not None
        and answer.is_primary
        and not answer.replicas
        and sum(_may_vote(picture.record, one) for one in others) >= QUORUM
        and not any(_hears(one) or one.syncing for one in others)
    )


def _alone(picture: Picture, record: Record) -> Step:
    """None of the others has what it takes from now on, so none may be elected."""
    member, answer = picture.member(record.primary), picture.answer(record.primary)
    if member is None or answer is None:
        return Wait(f"{record.primary} has gone on alone, and does not serve")
    term = max(record.term, *(said.term for _, said in picture.answering)) + 1
    if not answer.is_primary:
        # Started with the file of several: it has not reached its pod that it is alone, or the spec wants others again.
        why = f"{member.name} was started again, and has gone on alone"
        return Elect(member, term, why, alone=True) if answer.is_sealed else Seal((member,), why)
    if picture.leaving:
        return Alone(member, record.term, answer.fenced)
    # The spec wants several again: what the others have is old from here on, and their term says so.
    return Adopt(member, term)


def _keep(picture: Picture, primary: Member, answer: Answer, term: int) -> Keep:
    others = [(one, said) for one, said in picture.answering if one.name != primary.name]
    astray = [(one, said) for one, said in others if said.is_primary or said.source != (primary.ip, picture.port)]
    followers = sum(not said.is_primary and said.linked for _, said in others)
    return Keep(
        primary,
        term,
        follow=tuple(one for one, _ in astray),
        demoted=tuple(one for one, said in astray if said.is_primary),
        name_term=answer.term != term,
        fence=bool(followers) and not answer.fenced,
        whole=not astray and followers == picture.wanted - 1,
    )


def _gone(picture: Picture, primary: Member | None, answer: Answer | None, suspicion: Suspicion, now: float) -> str:
    """Why the primary on record cannot be it any more; empty while that is not certain."""
    name = picture.record.primary if picture.record is not None else ""
    if answer is not None:  # it answers, and takes no writes: it was started again, or an operator died half way
        return f"{name} was started again"
    look = picture.look(name)
    if look is not None and look.contact is Contact.LOADING:
        return f"{name} was started again"
    if primary is None or not primary.is_there:
        why = f"{name} has no pod"
    elif suspicion.refused >= REFUSALS:
        why = f"{name} refuses connections"
    elif suspicion.silent_since and now - suspicion.silent_since >= SILENT_AFTER:
        why = f"{name} gave no answer for {SILENT_AFTER:g} s"
    else:
        return ""
    # A primary that only the operator cannot reach is left alone.
    hears = [said for one, said in picture.answering if one.name != name and _hears(said)]
    return "" if hears else why


def _hears(said: Answer) -> bool:
    """It is a replica whose link to its primary is up, and not silent."""
    return not said.is_primary and said.linked and said.heard < SILENT_AFTER


def _seal_or_elect(picture: Picture, why: str, without: str = "") -> Step:
    """`without`: a member that is not asked, since none of what it takes can be acknowledged any more."""
    asked = [(one, said) for one, said in picture.answering if one.name != without]
    astray = tuple(one for one, said in asked if not said.is_sealed)
    if astray and len(asked) >= QUORUM:
        return Seal(astray, why)
    record = picture.record
    voters = [(one, said) for one, said in asked if said.is_sealed and _may_vote(record, said)]
    if len(voters) < QUORUM and len(asked) >= picture.wanted:
        voters = asked  # what these do not have nobody has
    if len(voters) < QUORUM:
        there = ", ".join(one.name for one, _ in voters) or "none"
        needs = f"to elect another takes {QUORUM} of {picture.wanted} members that hold data"
        return Wait(f"{why}; {needs}, and {there} can be asked")
    term = max(record.term if record is not None else 0, *(said.term for _, said in voters)) + 1
    # Pods that ask for no replica any more are acknowledged without a count, and by the primary alone.
    ready = record.primary if record is not None and record.leaving is Leaving.READY else ""
    return Elect(_newest(voters, ready), term, why)


def _may_vote(record: Record | None, said: Answer) -> bool:
    """It holds data that count: before all have held the same, those of the primary on record alone, and not what is
    left on a volume from other times, which has another term."""
    return said.holds_data and (record is None or record.whole or said.term >= record.term)


def _unrecorded(picture: Picture) -> Step:
    """Nobody knows who is primary: a Redis that is begun, that ran alone before, or whose record was lost."""
    primaries = [one for one, said in picture.answering if said.is_primary]
    if len(primaries) == 1:
        return Adopt(primaries[0], max(said.term for _, said in picture.answering) + 1)
    everybody = len(picture.answering) >= picture.wanted
    voters = [(one, said) for one, said in picture.answering if said.holds_data]
    if not everybody and (len(voters) < QUORUM or primaries):
        return Wait(f"{len(picture.answering)} of {picture.wanted} members answer: the first primary needs all of them")
    astray = tuple(one for one, said in picture.answering if not said.is_sealed)
    if astray:
        return Seal(astray, "no primary is on record")
    chosen = picture.answering if everybody else voters
    term = max(said.term for _, said in chosen) + 1
    return Elect(_newest(chosen), term, "no primary was on record")


def _newest(voters: Iterable[tuple[Member, Answer]], rather: str = "") -> Member:
    """Terms come first: an older primary may have been given more that was never acknowledged. Positions are in the
    data, so they hold over a restart; offsets begin anew, and only decide about what nobody has acknowledged. `rather`:
    the name of one that comes before others of its term and position."""

    def order(one: tuple[Member, Answer]) -> tuple[int, int, bool, bool, int, int]:
        member, said = one
        return said.term, said.position, member.name == rather, said.keys > 0, said.offset, -member.ordinal

    return max(voters, key=order)[0]


# Replacing members ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replace:
    """Delete the pod of this member, which is made anew from the newest template."""

    member: Member


@dataclass(frozen=True)
class Switch:
    """Hand the primary's part over to this member, by a planned failover."""

    member: Member


def rollout(picture: Picture, keep: Keep, *, crew_is_ready: bool) -> Replace | Switch | None:
    """What brings the members to the newest template without a lost write: replicas first, one at a time while all
    follow, then a switch. A primary whose pod is about to go hands over before. None: nothing, or not now.

    Args:
        crew_is_ready: none of its pods would fail a kickoff for a switch.
    """
    if keep.primary.terminating and (heirs := _heirs(picture, keep)):
        return Switch(_newest(heirs))
    if not keep.whole or any(one.terminating or not one.ready for one in picture.members):
        return None
    if picture.leaving:
        return _to_the_first(picture, keep, crew_is_ready=crew_is_ready)
    outdated = sorted((one for one in picture.members if one.outdated), key=lambda one: -one.ordinal)
    replicas = [one for one in outdated if one.name != keep.primary.name]
    if replicas:
        return Replace(replicas[0])
    if outdated and crew_is_ready:
        return Switch(_newest(_heirs(picture, keep)))
    return None


def _to_the_first(picture: Picture, keep: Keep, *, crew_is_ready: bool) -> Replace | Switch | None:
    """The first member is replaced as a replica, by one that can go on alone, and becomes primary then."""
    first = picture.first
    if first is None:
        return None
    leads = keep.primary.name == first.name
    if first.outdated and not leads:
        return Replace(first)
    if first.outdated == leads and crew_is_ready:
        return Switch(_newest(_heirs(picture, keep)) if leads else first)
    return None


def is_ready_to_leave(picture: Picture, keep: Keep) -> bool:
    """The first member could go on alone: it is primary, of the newest template, and all hold the same."""
    first = picture.first
    settled = keep.whole and not any(one.terminating for one in picture.members)
    return settled and first is not None and first.name == keep.primary.name and not first.outdated


def _heirs(picture: Picture, keep: Keep) -> list[tuple[Member, Answer]]:
    """Who follows the primary, and stays."""
    others = ((one, said) for one, said in picture.answering if one.name != keep.primary.name)
    return [(one, said) for one, said in others if said.linked and not said.is_primary and not one.terminating]
