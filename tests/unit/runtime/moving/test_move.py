"""What a move says when the place that it wrote to has not what it was given."""

import numpy as np

from crew_runtime.memory.records import Record
from crew_runtime.moving import move
from crew_runtime.moving.items import Item, fingerprint
from crew_runtime.moving.places import About, Written


def item(number):
    vector = np.array([number, 0.0], "<f4").tobytes()
    return Item(Record(f"r{number}", f"text {number}", "/", vector=vector))


class Shelf:
    """Both places; forgets, changes and searches as it is told."""

    where, searchable, notes = "a shelf", True, ()

    def __init__(self, items, lost=(), changed=(), unfound=()):
        self.items = lambda: iter(items)
        self._lost, self._changed, self._unfound = lost, changed, unfound
        self.kept = {}
        self.batches = []

    def about(self):
        return About("elsewhere", dimension=2)

    def begin(self, about):
        assert about.dimension == 2

    def placed(self, one):
        return one

    def write(self, items):
        self.batches.append(len(items))
        self.kept |= {one.record.id: one for one in items if one.record.id not in self._lost}
        return Written(len(items))

    def finish(self):
        pass

    def fingerprints(self, ids):
        found = {one: fingerprint(self.kept[one]) for one in ids if one in self.kept}
        return {one: b"other" if one in self._changed else print_ for one, print_ in found.items()}

    def near(self, one, limit):
        return [("else", 0.0), (one.record.id, 1.0)] if one.record.id in self._unfound else [(one.record.id, 0.0)]


class Heard:
    def __init__(self):
        self.steps = []

    def step(self, name, records):
        self.steps.append((name, records))

    def advanced(self, records):
        pass


def moved(shelf, samples=5):
    return move.move(shelf, shelf, samples, Heard())


def test_all_is_there():
    shelf = Shelf([item(n) for n in range(450)])
    heard = Heard()
    report = move.move(shelf, shelf, 5, heard)
    assert (report.records, report.written, report.sampled, report.problems) == (450, 450, 5, ())
    assert shelf.batches == [200, 200, 50]
    assert heard.steps == [("look", None), ("move", None), ("compare", 450), ("search", 5)]


def test_what_is_missing_is_named():
    (problem,) = moved(Shelf([item(n) for n in range(20)], lost=[f"r{n}" for n in range(7)])).problems
    assert problem == "20 memories were read and 13 are there; missing: r0, r1, r2, r3, r4 and 2 more"


def test_what_is_there_otherwise_is_named():
    (problem,) = moved(Shelf([item(n) for n in range(3)], changed=["r1"])).problems
    assert problem == "1 are there otherwise than they were read: r1"


def test_what_no_search_finds_is_named():
    (problem,) = moved(Shelf([item(n) for n in range(3)], unfound=["r2"])).problems
    assert problem == "1 of 3 memories are not found by their own vector: r2"


def test_long_memories_go_in_smaller_parts(monkeypatch):
    monkeypatch.setattr(move, "BATCH_BYTES", 100)
    shelf = Shelf([Item(item(n).record._replace(content="x" * 60)) for n in range(5)])
    moved(shelf)
    assert shelf.batches == [2, 2, 1]


def test_no_search_is_made_where_none_is_wanted():
    shelf = Shelf([item(1)])
    shelf.near = None
    assert moved(shelf, samples=0).sampled == 0
