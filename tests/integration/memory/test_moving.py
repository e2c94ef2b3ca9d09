"""Memories that move: folders of CrewAI's own LanceDB storage, real Redis with the search module and without, files."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import lancedb
import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage

from crew_runtime.contract import keys, moving
from crew_runtime.contract.moving import Order, Place
from crew_runtime.moving import move
from crew_runtime.moving.embedding import Embedding
from crew_runtime.moving.errors import DamagedFileError, MovingError
from crew_runtime.moving.file import FileSource, FileTarget
from crew_runtime.moving.lance import LanceSource, LanceTarget
from crew_runtime.moving.store import RedisSource, RedisTarget
from crew_runtime.sessions import binding
from support.idle_sessions import let_pass
from support.memories import contents, direction, record
from support.programs import TESTS

COLUMNS = ("id", "content", "scope", "categories_str", "metadata_str", "created_at", "last_accessed", "source")
FIELDS = ("id", "content", "scope", "categories", "metadata", "importance", "created_at", "source", "private")


class Quiet:
    def step(self, name, records):
        pass

    def advanced(self, records):
        pass


def go(source, target, samples=10):
    return move.move(source, target, samples, Quiet())


def place(settings, prefix=None):
    return Place(moving.REDIS, url=settings.redis_url, key_prefix=prefix or settings.key_prefix)


def some(number, scope="/crew/concierge/guests"):
    return [
        record(
            f"guest {n} likes room {n * 7}",
            scope,
            age=n,
            id=f"it's-{n}",
            categories=["fact", f"c{n % 3}"],
            metadata={"n": n, "deep": {"text": "ä \"quoted\" 'text'"}},
            importance=0.25,
            source="ada" if n % 2 else None,
            private=bool(n % 2),
        )
        for n in range(number)
    ]


def write_folder(path, records):
    made = LanceDBStorage(path, compact_every=0)
    for start in range(0, len(records), 10):
        made.save(records[start : start + 10])
    return made


def told(storage):
    """All that has to be the same, by id."""
    records = [storage.get_record(one.id) for one in storage.list_records(limit=100)]
    return {one.id: ([getattr(one, name) for name in FIELDS], [float(x) for x in one.embedding]) for one in records}


def to_redis(place_, session="", overwrite=False):
    return RedisTarget(place_, session=session, overwrite=overwrite)


def to_folder(path, overwrite=False, merge=False):
    return LanceTarget(path, overwrite=overwrite, merge_sessions=merge)


@pytest.fixture
def other(settings):
    """Another crew's settings in the same server."""
    return replace(settings, key_prefix=f"{settings.key_prefix}-other")


def test_memories_go_from_a_folder_to_redis_to_a_file_to_redis_to_a_folder(settings, other, make_storage, tmp_path):
    bare = write_folder(tmp_path / "bare", some(30))
    wanted = told(bare)
    assert len(wanted) == 30

    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.records, report.written, report.sampled, report.problems) == (30, 30, 10, ())
    assert told(make_storage()) == wanted

    assert go(RedisSource(place(settings)), FileTarget(tmp_path / "f", overwrite=False)).problems == ()
    report = go(FileSource(tmp_path / "f"), to_redis(place(other)))
    assert (report.written, report.problems) == (30, ())
    assert told(make_storage(other)) == wanted

    assert go(RedisSource(place(other)), to_folder(tmp_path / "back")).problems == ()
    again = LanceDBStorage(tmp_path / "back", compact_every=0)
    assert told(again) == wanted
    assert contents(again.search(direction("guest 3 likes room 21"), limit=1)) == ["guest 3 likes room 21"]
    again.save([record("one more")])
    assert again.count() == 31


def test_what_is_recalled_is_the_same_in_both(settings, make_storage, tmp_path):
    bare = write_folder(tmp_path / "bare", some(20))
    go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    asked = direction("which guest likes room 35")
    own, ours = (one.search(asked, "/crew/concierge", limit=5) for one in (bare, make_storage()))
    assert contents(own) == contents(ours)
    assert [round(score, 4) for _, score in own] == [round(score, 4) for _, score in ours]


def test_again_it_writes_nothing_and_what_is_newer_stays(settings, storage, tmp_path):
    write_folder(tmp_path / "bare", some(5))
    go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.written, report.equal, report.kept) == (0, 5, 0)

    newer = storage.get_record("it's-1")
    storage.update(newer.model_copy(update={"content": "changed here", "last_accessed": record().last_accessed}))
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.written, report.equal, report.kept, report.problems) == (0, 4, 1, ())
    assert storage.get_record("it's-1").content == "changed here"

    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings), overwrite=True))
    assert (report.written, report.problems) == (5, ())
    assert storage.get_record("it's-1").content == "guest 1 likes room 7"


def test_what_changed_in_the_folder_since_is_written_again(settings, storage, tmp_path):
    bare = write_folder(tmp_path / "bare", some(5))
    go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    (old,) = (one for one in bare.list_records() if one.id == "it's-2")
    bare.update(old.model_copy(update={"content": "changed there", "last_accessed": record().last_accessed}))
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.written, report.equal) == (1, 4)
    assert storage.get_record("it's-2").content == "changed there"


def test_a_folder_stays_as_it_was(tmp_path):
    write_folder(tmp_path / "bare", some(15))
    before = {one: (one.stat().st_mtime_ns, one.stat().st_size) for one in (tmp_path / "bare").rglob("*")}
    go(LanceSource(tmp_path / "bare", ""), FileTarget(tmp_path / "f", overwrite=False))
    assert {one: (one.stat().st_mtime_ns, one.stat().st_size) for one in (tmp_path / "bare").rglob("*")} == before


def test_the_same_said_under_two_ids_arrives_twice(settings, make_storage, tmp_path):
    """Whoever saves keeps it once; what was kept twice elsewhere is not for a move to judge."""
    write_folder(tmp_path / "bare", [record("said twice", id="a"), record("said twice", id="b")])
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.written, report.problems) == (2, ())
    assert make_storage().count() == 2


def test_a_memory_that_is_in_a_folder_twice_arrives_as_it_was_used_last(settings, make_storage, tmp_path):
    """Of an update that was killed between its two writes."""
    twice = [record("later", id="a"), record("before", id="a", age=60), record("other", id="b")]
    write_folder(tmp_path / "bare", twice)
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    assert (report.records, report.problems) == (2, ())
    assert report.notes == ("1 memories were there more than once: what was used last was taken",)
    assert make_storage().get_record("a").content == "later"


def test_what_was_never_embedded_arrives_without_a_vector(settings, storage, tmp_path):
    write_folder(tmp_path / "bare", [*some(3), record("bare text", id="none", embedding=None)])
    assert go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings))).problems == ()
    assert storage.get_record("none").embedding is None
    assert go(RedisSource(place(settings)), to_folder(tmp_path / "back")).problems == ()
    assert LanceDBStorage(tmp_path / "back", compact_every=0).count() == 4


# -- sessions -------------------------------------------------------------------------------------------------------


def remember(storage, session, *facts):
    with binding.bind(session):
        storage.save([record(one, id=one.replace(" ", "-")) for one in facts])


def seen_by(storage, session):
    with binding.bind(session):
        return sorted(contents(storage.list_records()))


def test_sessions_stay_sessions(settings, other, storage, make_storage, tmp_path):
    storage.save([record("for all")])
    remember(storage, "ada", "of ada")
    remember(storage, "bob/2", "of bob")
    go(RedisSource(place(settings)), FileTarget(tmp_path / "f", overwrite=False))
    report = go(FileSource(tmp_path / "f"), to_redis(place(other)))
    assert (report.records, report.problems) == (3, ())
    moved = make_storage(other)
    assert seen_by(moved, "ada") == ["for all", "of ada"]
    assert seen_by(moved, "bob/2") == ["for all", "of bob"]
    assert seen_by(moved, "somebody") == ["for all"]


def test_a_folder_goes_into_a_session_when_one_is_named(settings, make_storage, tmp_path):
    write_folder(tmp_path / "bare", some(3))
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings), session="ada"))
    assert (report.written, report.sampled, report.problems) == (3, 3, ())
    assert len(seen_by(make_storage(), "ada")) == 3
    assert seen_by(make_storage(), "bob") == []


def test_what_a_session_that_ended_remembered_is_left_out(settings, other, make_storage, server):
    lasting = replace(settings, session_ttl=100.0)
    storage = make_storage(lasting)
    remember(storage, "old", "of old")
    remember(storage, "new", "of new")
    with server.client() as client:
        let_pass(client, settings.key_prefix, 200)
        # Used again, without the sweep that comes with it: what that has not erased yet is as good as gone.
        client.hset(keys.session(settings.key_prefix, "new"), "last", int(time.time() * 1000))
        assert client.zcard(keys.memory_ids(settings.key_prefix)) == 2
    report = go(RedisSource(place(settings)), to_redis(place(other)))
    assert (report.records, report.notes) == (
        1, ("1 memories belong to sessions that have ended: they were left out",)
    )  # fmt: skip
    assert seen_by(make_storage(other), "new") == ["of new"]


def test_a_move_changes_nothing_of_how_long_sessions_live(settings, make_storage, tmp_path, server):
    lasting = make_storage(replace(settings, session_ttl=100.0))
    remember(lasting, "ada", "of ada")
    write_folder(tmp_path / "bare", some(3))
    with server.client() as client:
        before = client.hgetall(keys.meta(settings.key_prefix))
        go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings), session="ada"))
        assert client.hgetall(keys.meta(settings.key_prefix)) == before
    assert len(seen_by(lasting, "ada")) == 4


def test_a_memory_of_somebody_else_is_not_taken_over(settings, storage, tmp_path):
    remember(storage, "ada", "secret")
    write_folder(tmp_path / "bare", [record("stranger", id="secret"), record("other", id="o")])
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings), overwrite=True))
    assert report.written == 1
    assert "another session, or the crew, has memories of these ids already: secret" in report.problems
    assert seen_by(storage, "ada") == ["other", "secret"]


def test_sessions_are_not_poured_into_a_folder_unasked(settings, storage, tmp_path):
    remember(storage, "ada", "of ada")
    with pytest.raises(MovingError, match=r"belongs to the session 'ada'.*--merge-sessions"):
        go(RedisSource(place(settings)), to_folder(tmp_path / "back"))
    assert not (tmp_path / "back").exists()
    assert go(RedisSource(place(settings)), to_folder(tmp_path / "back", merge=True)).problems == ()
    assert LanceDBStorage(tmp_path / "back", compact_every=0).count() == 1


# -- what does not fit ------------------------------------------------------------------------------------------------


def test_vectors_of_another_length_are_refused_before_anything_is_written(settings, storage, tmp_path):
    storage.save([record("there")])
    write_folder(tmp_path / "bare", [record("longer", embedding=direction("longer", 24))])
    with pytest.raises(MovingError, match=r"holds vectors of 16 dimensions, and those of .*bare have 24"):
        go(LanceSource(tmp_path / "bare", ""), to_redis(place(settings)))
    with pytest.raises(MovingError, match=r"holds vectors of 24 dimensions, and those of .* have 16"):
        go(RedisSource(place(settings)), to_folder(tmp_path / "bare"))
    assert contents(storage.list_records()) == ["there"]


def test_another_embedder_of_the_same_length_is_refused_by_its_name(settings, storage, tmp_path):
    storage.embedder_mismatch("openai/text-embedding-3-small")
    storage.save([record("there")])
    write_folder(tmp_path / "bare", some(1))
    with pytest.raises(MovingError, match=r"made with the embedder openai/text-embedding-3-small, .* ollama/nomic"):
        go(LanceSource(tmp_path / "bare", "ollama/nomic"), to_redis(place(settings)))
    same = LanceSource(tmp_path / "bare", "openai/text-embedding-3-small")
    assert go(same, to_redis(place(settings))).problems == ()


def test_the_name_of_the_embedder_comes_along(settings, other, storage, make_storage, tmp_path):
    write_folder(tmp_path / "bare", some(1))
    go(LanceSource(tmp_path / "bare", "ollama/nomic"), to_redis(place(settings)))
    assert "were made with the embedder ollama/nomic" in storage.embedder_mismatch("openai/ada")
    go(RedisSource(place(settings)), FileTarget(tmp_path / "f", overwrite=False))
    go(FileSource(tmp_path / "f"), to_redis(place(other)))
    assert "were made with the embedder ollama/nomic" in make_storage(other).embedder_mismatch("openai/ada")


def test_a_store_of_sixteen_bits_takes_them_too(settings, make_storage, tmp_path):
    write_folder(tmp_path / "bare", some(30))
    halved = replace(place(settings), vector_type="FLOAT16")
    report = go(LanceSource(tmp_path / "bare", ""), to_redis(halved), samples=30)
    assert (report.sampled, report.problems) == (30, ())
    assert make_storage().vector_type == "FLOAT16"


def test_a_place_without_memories_is_named(settings, tmp_path):
    with pytest.raises(MovingError, match="has no memories of CrewAI"):
        LanceSource(tmp_path / "nothing", "")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(MovingError, match="has no memories: check the key prefix"):
        go(RedisSource(place(settings)), FileTarget(tmp_path / "f", overwrite=False))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"id": "a", "vector": [0.5] * 4}, "it has no categories_str, content"),
        ({**dict.fromkeys(COLUMNS, ""), "importance": 0.5, "private": False, "vector": "text"}, "no fixed length"),
    ],
)
def test_a_table_that_is_not_crewais_is_refused(tmp_path, row, why):
    lancedb.connect(str(tmp_path)).create_table("memories", [row])
    with pytest.raises(MovingError, match=f"was not written by CrewAI: .*{why}"):
        LanceSource(tmp_path, "")


def test_a_memory_that_is_not_crewais_is_named(tmp_path):
    row = {**dict.fromkeys(COLUMNS, ""), "id": "odd", "importance": 0.5, "private": False, "vector": [0.5] * 4}
    lancedb.connect(str(tmp_path)).create_table("memories", [row])
    with pytest.raises(MovingError, match="the memory odd was not written by CrewAI: Invalid isoformat"):
        go(LanceSource(tmp_path, ""), FileTarget(tmp_path / "f", overwrite=False))


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path) -> Path:
    write_folder(tmp_path / "bare", some(5))
    go(LanceSource(tmp_path / "bare", ""), FileTarget(tmp_path / "f.jsonl", overwrite=False))
    return tmp_path / "f.jsonl"


def cut(lines):
    return lines[:-1]


def cut_in_a_line(lines):
    return [*lines[:3], lines[3][:40]]


def changed(lines):
    return [*lines[:2], lines[2].replace(b"room", b"boom"), *lines[3:]]


def exchanged(lines):
    return [lines[0], lines[2], lines[1], *lines[3:]]


def doubled(lines):
    return [*lines[:2], lines[1], *lines[2:]]


def longer(lines):
    return [*lines, b"{}\n"]


def headless(lines):
    return lines[1:]


@pytest.mark.parametrize(
    ("damage", "line", "why"),
    [
        (cut, 7, "the file ends here"),
        (cut_in_a_line, 4, "the line has no end"),
        (changed, 3, "its checksum does not hold"),
        (exchanged, 7, "the checksum of the whole file does not hold"),
        (doubled, 3, "there was a memory of this id already"),
        (longer, 8, "there is something behind the last line"),
        (headless, 1, "the header is missing"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line_and_nothing_of_it_is_imported(
    file, settings, make_storage, damage, line, why
):
    file.write_bytes(b"".join(damage(file.read_bytes().splitlines(keepends=True))))
    with pytest.raises(DamagedFileError, match=rf"f\.jsonl, line {line}: {why}"):
        go(FileSource(file), to_redis(place(settings)))
    assert make_storage().count() == 0


def test_a_file_is_its_owners_and_replaces_none_unasked(file, tmp_path):
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    with pytest.raises(MovingError, match="is there already"):
        go(LanceSource(tmp_path / "bare", ""), FileTarget(file, overwrite=False))
    assert file.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bare", "f.jsonl"]


# -- processes --------------------------------------------------------------------------------------------------------


def started(order: Order) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", moving.MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdin.write(json.dumps(moving.order_to_dict(order)))
    process.stdin.close()
    return process


def ended(order: Order) -> moving.Report:
    with started(order) as process:
        last = json.loads(process.stdout.readlines()[-1])
    assert last["event"] == moving.DONE, last
    return moving.report_from_dict(last["report"])


def kill_in_the_middle(process: subprocess.Popen) -> None:
    for line in process.stdout:
        told = json.loads(line)
        if told["event"] == moving.ADVANCED:
            process.send_signal(signal.SIGKILL)
            break
    with process:
        assert process.wait() == -signal.SIGKILL


def test_an_import_that_was_killed_goes_on(settings, make_storage, tmp_path):
    number = 3_000
    made = LanceDBStorage(tmp_path / "bare", compact_every=0)
    made.save([record(f"guest {n} likes {n * 7}", id=f"r{n}") for n in range(number)])
    folder = Place(moving.FOLDER, path=str(tmp_path / "bare"))
    exported = Place(moving.FILE, path=str(tmp_path / "f"))
    kill_in_the_middle(started(Order(folder, exported)))
    assert not (tmp_path / "f").exists()
    assert ended(Order(folder, exported)).written == number

    order = Order(exported, place(settings))
    kill_in_the_middle(started(order))
    there = make_storage().count()
    assert 0 < there < number
    report = ended(order)
    assert (report.equal, report.written, report.problems) == (there, number - there, ())
    assert make_storage().count() == number
    assert len(make_storage().search(direction("guest 2999 likes 20993"), limit=1)) == 1


def embedding(target, name="ours", embed=None, overwrite=False):
    asked = []

    def longer(texts):
        asked.extend(texts)
        return [direction(one, 24) if one else [] for one in texts]

    return Embedding(target, name, embed or longer, overwrite=overwrite), asked


def reembedded(source, target, **options):
    made, asked = embedding(target, **options)
    return move.move(source, target, 10, Quiet(), made), asked


def test_memories_get_vectors_of_another_embedder_elsewhere_while_the_old_serve(settings, other, storage, make_storage):
    storage.save(some(10))
    remember(storage, "ada", "of ada")
    report, asked = reembedded(RedisSource(place(settings)), to_redis(place(other)))
    assert (report.written, report.dimension, report.embedder, report.problems) == (11, 24, "ours", ())
    assert len(asked) == 12, "each once, and one to see how long a vector is"
    assert contents(storage.search(direction("guest 3 likes room 21"), limit=1)) == ["guest 3 likes room 21"]
    moved = make_storage(other)
    assert contents(moved.search(direction("guest 3 likes room 21", 24), limit=1)) == ["guest 3 likes room 21"]
    assert seen_by(moved, "bob") == sorted(contents(some(10)))
    assert moved.embedder_mismatch("ours") == ""

    # What was remembered meanwhile follows, and nothing is embedded twice but what shows that it is the same embedder.
    storage.save([record("one more", id="late")])
    report, asked = reembedded(RedisSource(place(settings)), to_redis(place(other)))
    assert (report.written, report.equal, report.problems) == (1, 11, ())
    assert len(asked) == 1 + 5 + 1


def test_vectors_of_another_embedder_are_not_mixed_with_those_that_are_there(settings, other, storage, make_storage):
    storage.save(some(3))
    go(RedisSource(place(settings)), to_redis(place(other)))
    make_storage(other).embedder_mismatch("ours")

    def otherwise(texts):
        return [direction(f"not {one}") for one in texts]

    with pytest.raises(MovingError, match=r"has the memory .* already, with a vector of another embedder than ours"):
        reembedded(RedisSource(place(settings)), to_redis(place(other)), embed=otherwise)
    with pytest.raises(MovingError, match="holds vectors of 16 dimensions"):
        reembedded(RedisSource(place(settings)), to_redis(place(other)))
    with pytest.raises(MovingError, match="nobody named the embedder"):
        reembedded(RedisSource(place(other)), to_redis(place(settings)), embed=lambda t: [direction(one) for one in t])


def test_what_fails_with_its_embedder_goes_on_with_it(settings, other, storage, monkeypatch):
    monkeypatch.setattr(move, "BATCH", 2)
    storage.save(some(6))
    calls = []

    def fails(texts):
        calls.append(texts)
        if len(calls) == 3:
            raise ConnectionError("the service is down")
        return [direction(one, 24) for one in texts]

    with pytest.raises(MovingError, match="embedder failed: ConnectionError: the service is down; the same command"):
        reembedded(RedisSource(place(settings)), to_redis(place(other)), embed=fails)
    report, _ = reembedded(RedisSource(place(settings)), to_redis(place(other)))
    assert (report.written, report.equal, report.problems) == (4, 2, ())


@pytest.mark.parametrize("wrong", [[], [[1.0]], [[float("nan")] * 24], [[]]])
def test_an_embedder_that_gives_what_is_no_vector_is_named(settings, other, storage, wrong):
    storage.save(some(1))
    with pytest.raises(MovingError, match="embedder gave"):
        reembedded(
            RedisSource(place(settings)), to_redis(place(other)),
            embed=lambda texts: [direction("x", 24)] if "How long" in texts[0] else wrong,
        )  # fmt: skip


def test_a_crew_recalls_on_the_runtime_what_was_embedded_anew_for_it(programs, server, settings, tmp_path):
    """By its own embedder, whose vectors have 32 dimensions; those in the folder have 16."""
    facts = ["Anna is allergic to peanuts", "The pool opens at seven"]
    write_folder(tmp_path / "bare", [record(one, "/crew/crew/guests") for one in facts])
    order = Order(
        Place(moving.FOLDER, path=str(tmp_path / "bare")), place(settings),
        embed=moving.Project("support.user_crews.remembering:crew"),
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", moving.MODULE], input=json.dumps(moving.order_to_dict(order)), text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(TESTS), "HOME": str(tmp_path)}, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    told_last = json.loads(done.stdout.splitlines()[-1])
    assert (told_last["report"]["written"], told_last["report"]["dimension"]) == (2, 32)
    assert told_last["report"]["embedder"] == "custom/Hashed"

    ours = {"CREWOPS_REDIS_URL": server.url, "CREWOPS_KEY_PREFIX": settings.key_prefix}
    programs.ask(name="crew_recall", arguments=["room-214", facts[0]], environ=ours, folder=str(tmp_path))
    assert programs.answer()[0] == facts[0]


def test_a_crew_recalls_on_the_runtime_what_the_bare_crew_remembered(programs, server, settings, tmp_path):
    """The folder is the one that CrewAI chose; the recall is another process', in a session, on another disk."""
    environ = {**os.environ, "PYTHONPATH": str(TESTS), "CREWAI_STORAGE_DIR": str(tmp_path / "own")}
    facts = ["Anna is allergic to peanuts", "The pool opens at seven"]
    command = [sys.executable, str(TESTS / "support" / "bare_crew.py"), *facts]
    subprocess.run(command, env=environ, check=True, capture_output=True, cwd=tmp_path)

    order = Order(Place(moving.FOLDER), place(settings))
    done = subprocess.run(
        [sys.executable, "-m", moving.MODULE], input=json.dumps(moving.order_to_dict(order)), env=environ,
        check=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    assert (report["written"], report["sampled"], report["problems"]) == (2, 2, [])

    (tmp_path / "disk").mkdir()
    ours = {"CREWOPS_REDIS_URL": server.url, "CREWOPS_KEY_PREFIX": settings.key_prefix}
    programs.ask(name="crew_recall", arguments=["room-214", facts[0]], environ=ours, folder=str(tmp_path / "disk"))
    recalled = programs.answer()
    assert recalled[0] == facts[0]
    assert sorted(recalled) == sorted(facts)
