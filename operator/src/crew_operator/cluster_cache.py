"""The cluster as the watches tell it: CrewDeployments, their children and pods. Asks nobody and knows no thread.

In: what a watch told (`told`), what our own writes and reads answered (`written`, `read`). Out: what exists of one
CrewDeployment, and whether something about it is news, which our own writes are not.

Only what a pass reads is kept, packed: an object costs about a kilobyte. Anybody may put our label on objects of their
own: of a CrewDeployment only what bears a child's name is kept, and its pods, and nothing of one that does not exist.
"""

import sys
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from crew_operator.api import names
from crew_operator.packing import Packer
from crew_operator.status import pods, summary
from crew_operator.status.observed import Observed
from crew_operator.status.summary import Identity

Object = dict[str, Any]
Owner = tuple[str, str]
"""Namespace and name of a CrewDeployment."""
Which = tuple[str, str]
"""Kind and name."""

POD: Final = "Pod"
CLAIM: Final = "PersistentVolumeClaim"
RELIST_SETTLES: Final = 10.0
"""Seconds after the last object of a listing that Kopf made anew, after which what it did not name may be gone."""
_GRAVES: Final = 4096
"""Deleted objects whose late news is known to be late."""
_VOLATILE: Final = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")
"""Annotations that others write and nobody here reads."""
_ABOUT: Final = ("name", "namespace", "labels", "annotations", "ownerReferences", "finalizers", "creationTimestamp",
    "deletionTimestamp")  # fmt: skip


_WISHES: Final[dict[str, Packer]] = {}
"""By kind."""
_STATES: Final = Packer({"generation": 1, "status": summary.status({}, Observed(1), Identity("", ""), 0.0)})
"""Most of what is there to keep are statuses of CrewDeployments; the first that is seen of one is empty."""
_NOTHING: Final = _STATES.pack({})


class Change(IntEnum):
    """What came of one object's news."""

    NONE = 0
    """It was known, or nobody reads what changed."""
    STATE = 1
    """A pod, or the status of a workload: worth a look."""
    WISH = 2
    """What a pass compares with the spec, or the spec: worth a whole pass."""


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: Owner
    uid: str
    version: str
    wish: bytes
    """Packed: all but the status and what each write changes."""
    state: bytes
    """Packed: generation and status, as far as they are read."""
    wishes: Packer
    """Of the wish."""

    def object(self) -> Object:
        found: Object = self.wishes.unpack(self.wish)
        state = _STATES.unpack(self.state)
        if (generation := state.pop("generation", None)) is not None:
            found["metadata"]["generation"] = generation
        found["metadata"] |= {"uid": self.uid, "resourceVersion": self.version}
        made: Object = found | state
        return made


@dataclass
class _Relist:
    """A listing that a watch made after a gap."""

    named: set[str] = field(default_factory=set)
    """uids."""
    before: dict[str, _Entry] = field(default_factory=dict)
    """By uid: what was known of the kind when it began."""
    at: float = 0.0
    """When it named something last."""


class ClusterCache:
    """The picture of all CrewDeployments."""

    def __init__(self, *, namespaced: bool = False) -> None:
        """`namespaced`: each namespace is watched by itself, so a gap is one namespace's."""
        self.synced = False
        """The first listings are over, as far as one can tell: until then a pass reads for real."""
        self._namespaced = namespaced
        self._crews: dict[Owner, dict[Which, _Entry]] = {}
        self._places: dict[str, tuple[Owner, Which]] = {}
        """By uid."""
        self._graves: OrderedDict[str, str] = OrderedDict()
        """uid -> resourceVersion of its deletion."""
        self._news: dict[Owner, dict[Which, str]] = {}
        """What a whole pass has yet to see, with its resourceVersion; empty for what is gone."""
        self._relists: dict[tuple[str, str], _Relist] = {}
        self._doubted: set[Owner] = set()

    def __len__(self) -> int:
        """Objects."""
        return len(self._places)

    @property
    def crews(self) -> Collection[Owner]:
        """The CrewDeployments that exist."""
        return [owner for owner, known in self._crews.items() if (names.KIND, owner[1]) in known]

    def get(self, owner: Owner, kind: str, name: str) -> Object | None:
        """One object, for the caller to keep; None: it is not known to be there."""
        entry = self._crews.get(owner, {}).get((kind, name))
        return entry.object() if entry is not None else None

    def uid(self, owner: Owner, kind: str, name: str) -> str:
        """Of one object; empty: it is not known to be there."""
        entry = self._crews.get(owner, {}).get((kind, name))
        return entry.uid if entry is not None else ""

    def version(self, owner: Owner, kind: str, name: str) -> str:
        """The resourceVersion of one object; empty: it is not known to be there."""
        entry = self._crews.get(owner, {}).get((kind, name))
        return entry.version if entry is not None else ""

    def list(self, owner: Owner, kinds: Collection[str]) -> dict[Which, Object]:
        """All objects of these kinds."""
        known = self._crews.get(owner, {})
        return {which: entry.object() for which, entry in known.items() if which[0] in kinds}

    def snapshot(self, owner: Owner, kinds: Collection[str]) -> dict[Which, object]:
        """To be given to `read` after a request, so that what a watch told meanwhile is not taken for missing."""
        return {which: entry for which, entry in self._crews.get(owner, {}).items() if which[0] in kinds}

    # What is told

    def begin(self) -> None:
        """The first listings are over. What belongs to no CrewDeployment is dropped."""
        self.synced = True
        alive = set(self.crews)
        for owner in [one for one in self._crews if one not in alive]:
            self._drop(owner)

    def told(self, type_: str | None, kind: str, found: Object, now: float) -> dict[Owner, Change]:
        """An event of a watch, its type None for an object of a listing -> whom it concerns. `now` as in `overdue`."""
        if type_ is None and self.synced:
            self._named(kind, found, now)
        changes = self._bury(found) if type_ == "DELETED" else self._put(kind, found)
        for owner, (change, which, version) in changes.items():
            if change is Change.WISH and owner in self._crews:
                news = self._news.setdefault(owner, {})
                # Of a CrewDeployment the first that nobody has seen counts: our write of a status, which may be told
                # before its answer is here, does not undo somebody's change of the spec.
                news[which] = news.get(which, version) if which[0] == names.KIND else version
        return {owner: change for owner, (change, _, _) in changes.items() if change}

    def written(self, kind: str, found: Object) -> None:
        """The answer to a write of ours: no news, also if the watch was faster with it.

        Of a CrewDeployment only the status is ever ours. An answer that has another spec than is known has somebody
        else's change in it, which the watch is about to tell: it is not taken, or that would be no news any more.
        """
        entry = _entry(kind, found) if kind == names.KIND else None
        if entry is not None and self._is_anothers(entry, str(found["metadata"]["name"])):
            return
        changes = self._put(kind, found, entry)
        about = found["metadata"]
        which, version = (kind, str(about["name"])), str(about.get("resourceVersion") or "")
        for owner in {_owner(kind, found), *changes}:
            news = self._news.get(owner, {})
            if news.get(which) == version:
                del news[which]

    def read(self, owner: Owner, kinds: Collection[str], found: Iterable[tuple[str, Object]],
        before: Mapping[Which, object]) -> bool:  # fmt: skip
        """All objects of these kinds as the API server listed them. True when the picture was not right.

        Args:
            found: kind and object.
            before: the snapshot from before the request.
        """
        wrong, there = False, set()
        for kind, one in found:
            there.add((kind, one["metadata"]["name"]))
            wrong |= bool(self._put(kind, one))
        known = self._crews.get(owner, {})
        for which in [one for one in known if one[0] in kinds and one not in there]:
            if known[which] is before.get(which):
                self._remove(known[which].uid)
                wrong = True
        return wrong

    def take_news(self, owner: Owner) -> bool:
        """Whether there was anything that calls for a whole pass; from now on there is not."""
        return bool(self._news.pop(owner, None))

    def take_doubt(self, owner: Owner) -> bool:
        """Whether a gap in a watch may have swallowed something of it; asked once."""
        if owner not in self._doubted:
            return False
        self._doubted.discard(owner)
        return True

    def overdue(self, now: float) -> set[Owner]:
        """Whose objects a listing after a gap should have named and did not, once it is over: for those only a real
        read tells. `now` in seconds of any clock that only moves forward.
        """
        found: set[Owner] = set()
        for scope in [one for one, relist in self._relists.items() if now - relist.at >= RELIST_SETTLES]:
            relist = self._relists.pop(scope)
            for uid, entry in relist.before.items():
                place = self._places.get(uid)
                if uid not in relist.named and place and self._crews[place[0]][place[1]] is entry:
                    found.add(entry.owner)
        self._doubted |= found
        return found

    @property
    def relisting(self) -> bool:
        """A listing after a gap goes on, or is over and nobody asked yet what it left out."""
        return bool(self._relists)

    # How it is kept

    def _named(self, kind: str, found: Object, now: float) -> None:
        about = found["metadata"]
        scope = kind, str(about.get("namespace")) if self._namespaced else ""
        relist = self._relists.get(scope)
        if relist is None:
            relist = self._relists[scope] = _Relist()
            for owner, known in self._crews.items():
                if scope[1] in ("", owner[0]):
                    relist.before |= {entry.uid: entry for which, entry in known.items() if which[0] == kind}
        relist.named.add(str(about.get("uid")))
        relist.at = now

    def _put(self, kind: str, found: Object, made: _Entry | None = None) -> dict[Owner, tuple[Change, Which, str]]:
        """`made`: its entry, if there is one already."""
        about = found["metadata"]
        owner, which = _owner(kind, found), (sys.intern(kind), str(about["name"]))
        uid, version = _version(found)
        changes: dict[Owner, tuple[Change, Which, str]] = {}
        place = self._places.get(uid)
        before = self._crews.get(owner, {}).get(which)
        known = self._crews[place[0]][place[1]] if place else before
        if (known and not _is_newer(version, known.version)) or _is_late(version, self._graves.get(uid)):
            return {}
        if place and place[0] != owner:  # somebody gave it to another one by its label
            self._remove(uid)
            changes[place[0]] = Change.WISH, which, ""
        if not self._is_kept(owner, which):
            return changes
        entry = made or _entry(kind, found)
        if before is not None and before.uid != uid:
            self._remove(before.uid)
        self._crews.setdefault(owner, {})[which] = entry
        self._places[uid] = owner, which
        change = _change(kind, before, entry)
        if change:
            changes[owner] = change, which, version
        return changes

    def _is_anothers(self, entry: _Entry, name: str) -> bool:
        known = self._crews.get(entry.owner, {}).get((names.KIND, name))
        return known is None or known.wish != entry.wish

    def _is_kept(self, owner: Owner, which: Which) -> bool:
        kind, name = which
        if kind == names.KIND:
            return True
        if self.synced and (names.KIND, owner[1]) not in self._crews.get(owner, {}):
            return False
        return kind == POD or name in names.children(owner[1])

    def _bury(self, found: Object) -> dict[Owner, tuple[Change, Which, str]]:
        about = found["metadata"]
        uid = str(about.get("uid") or "")
        self._graves[uid] = str(about.get("resourceVersion") or "")
        while len(self._graves) > _GRAVES:
            self._graves.popitem(last=False)
        place = self._places.get(uid)
        if place is None:
            return {}
        owner, which = place
        self._remove(uid)
        if which[0] == names.KIND:
            self._drop(owner)
        return {owner: (Change.STATE if which[0] == POD else Change.WISH, which, "")}

    def _remove(self, uid: str) -> None:
        owner, which = self._places.pop(uid)
        del self._crews[owner][which]
        if not self._crews[owner]:
            del self._crews[owner]

    def _drop(self, owner: Owner) -> None:
        for entry in list(self._crews.get(owner, {}).values()):
            self._remove(entry.uid)
        self._news.pop(owner, None)
        self._doubted.discard(owner)


def _owner(kind: str, found: Object) -> Owner:
    about = found["metadata"]
    label = about["name"] if kind == names.KIND else (about.get("labels") or {}).get(names.OWNER_LABEL)
    return sys.intern(str(about.get("namespace") or "")), sys.intern(str(label or ""))


def _version(found: Object) -> tuple[str, str]:
    """uid and resourceVersion."""
    about = found["metadata"]
    return str(about.get("uid") or ""), str(about.get("resourceVersion") or "")


def _entry(kind: str, found: Object) -> _Entry:
    owner = _owner(kind, found)
    uid, version = _version(found)
    wishes = _WISHES.setdefault(kind, Packer())
    if kind == POD:
        return _Entry(owner, uid, version, wishes.pack(pods.pruned(found)), _NOTHING, wishes)
    about = {key: found["metadata"][key] for key in _ABOUT if found["metadata"].get(key)}
    if "annotations" in about:
        about["annotations"] = {key: value for key, value in about["annotations"].items() if key not in _VOLATILE}
    wish = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    state: Object = {"generation": found["metadata"].get("generation")}
    if kind == names.KIND:
        state["status"] = found.get("status") or {}
    elif kind == "StatefulSet":
        status = found.get("status") or {}
        state["status"] = {key: status[key] for key in ("observedGeneration", "updateRevision") if status.get(key)}
    elif kind == CLAIM:
        state["status"] = {"phase": (found.get("status") or {}).get("phase")}
    elif kind == "Deployment":
        state["status"] = pods.pruned_status(found.get("status") or {})
    packed = _STATES.pack(state) if state["generation"] is not None or len(state) > 1 else _NOTHING
    return _Entry(owner, uid, version, wishes.pack({"metadata": about, **wish}), packed, wishes)


def _change(kind: str, before: _Entry | None, now: _Entry) -> Change:
    if kind == POD:
        return Change.NONE if before and (before.uid, before.wish) == (now.uid, now.wish) else Change.STATE
    if before is None or (before.uid, before.wish) != (now.uid, now.wish):
        return Change.WISH
    if before.state == now.state:
        # a Secret's version stands for what is in it, whatever of it was changed
        return Change.WISH if kind == "Secret" and before.version != now.version else Change.NONE
    # ours is known by its answer: this is somebody else's hand on the status
    return Change.WISH if kind == names.KIND else Change.STATE


def _is_newer(version: str, than: str) -> bool:
    """Versions are told apart by their order where they are numbers; else what comes later is taken for newer."""
    if version.isdigit() and than.isdigit():
        return int(version) > int(than)
    return version != than


def _is_late(version: str, buried: str | None) -> bool:
    """What a deleted object was before."""
    return buried is not None and not (version.isdigit() and buried.isdigit() and int(version) > int(buried))
