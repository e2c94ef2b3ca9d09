"""A new password is added first and the old one taken back at last, whenever the operator dies."""

import base64
from dataclasses import replace

import pytest

from crew_operator.api import parse
from crew_operator.desired import rotation, secret
from crew_operator.desired.redis_users import RedisUsers, digest
from crew_operator.desired.rotation import Found
from crew_runtime.contract.reasons import Reason
from support.crews import crew_manifest

OWN = "0perator"


def written(users):
    """The Secret after the operator wrote it."""
    crew = parse.crew_deployment(crew_manifest(namespace="hotel", uid="1"))
    data = {name: base64.b64decode(text).decode() for name, text in secret.auth(crew, users)["data"].items()}
    replicas = data["replica-password"], data["replica-password-version"]
    return Found(data["password"], data["operator-password"], data["auth.conf"], *replicas)


def decided(found, last=None, *, taken=(), **options):
    """`taken`: passwords that Redis takes."""
    asked = {"rolled_out": False, "make": lambda: "made", **options}
    return rotation.decide("hotel/concierge", found, last, taken=tuple(map(digest, taken)), **asked)


def changed(found, password):
    """By the user."""
    return replace(found, crew_password=password)


FIRST = written(RedisUsers("hotel/concierge", "first", OWN, replica_password="first", replica_version="1"))


def test_a_secret_that_is_not_there_gets_passwords():
    users = decided(Found())
    assert (users.crew_password, users.operator_password, users.retiring) == ("made", "made", ())


@pytest.mark.parametrize("rolled_out", [True, False])
def test_a_secret_that_nobody_changed_stays(rolled_out):
    assert written(decided(FIRST, rolled_out=rolled_out)) == FIRST


def handed_on(users):
    return users.replica_password, users.replica_version


def test_a_new_password_holds_beside_the_old_one_until_no_pod_has_that():
    users = decided(changed(FIRST, "second"), rolled_out=True)
    assert users.accepted == (digest("second"), digest("first")), "pods are of the old one, however complete"
    assert decided(written(users)) == users
    assert decided(written(users), rolled_out=True) == users, "they have the one that they were to have, which is old"
    users = decided(written(users), rolled_out=True, taken=("second", "first"))
    assert users.accepted == (digest("second"), digest("first")), "what was seen is from before they were given it"
    assert decided(written(users), rolled_out=True).accepted == (digest("second"),)


def test_replicas_are_given_a_new_password_when_redis_takes_it_and_not_before():
    users = decided(changed(FIRST, "second"))
    assert handed_on(users) == ("first", "1")
    assert handed_on(decided(written(users), taken=("first",))) == ("first", "1")
    users = decided(written(users), taken=("second", "first"))
    assert handed_on(users) == ("second", "made")
    assert handed_on(decided(written(users))) == ("second", "made"), "one that starts anew takes no step back"


def test_what_replicas_are_given_is_nobody_elses_to_change():
    forged = decided(replace(FIRST, replica_password="forged"))
    assert (handed_on(forged), forged.accepted) == (("first", "made"), (digest("first"),))
    assert handed_on(decided(replace(FIRST, replica_version="a b"))) == ("first", "made")
    assert handed_on(decided(replace(FIRST, replica_password="", replica_version=""))) == ("first", "made")


def test_the_password_that_replicas_have_is_not_taken_back_however_many_come_after_it():
    """While Redis is away."""
    found = FIRST
    for number in range(10):
        users = decided(changed(found, f"password {number}"), rolled_out=True)
        found = written(users)
        assert handed_on(users) == ("first", "1")
        assert digest("first") in users.retiring
    assert len(users.retiring) == rotation.MAX_RETIRING


def test_a_third_one_during_the_rollout_of_the_second_takes_none_back():
    second = written(decided(changed(FIRST, "second")))
    third = decided(changed(second, "third"), rolled_out=True)
    assert third.accepted == tuple(map(digest, ("third", "second", "first")))
    back = decided(changed(written(third), "first"))
    assert back.accepted == tuple(map(digest, ("first", "third", "second")))


def test_not_more_than_a_few_hold_at_once():
    found = FIRST
    for number in range(10):
        found = written(decided(changed(found, f"password {number}")))
    assert len(decided(found).retiring) == rotation.MAX_RETIRING


def test_a_secret_that_was_deleted_ends_no_connection_of_pods_that_run():
    last = decided(FIRST)
    users = decided(Found(), last)
    assert (users.crew_password, users.operator_password) == ("made", OWN)
    assert users.retiring == (digest("first"),)


@pytest.mark.parametrize("theirs", ["", "another"])
def test_the_operators_own_password_is_nobody_elses_to_change(theirs):
    last = decided(FIRST)
    assert decided(Found("second", theirs, FIRST.configuration), last).operator_password == OWN
    assert decided(Found("second", theirs), last).operator_password == OWN
    alone = decided(Found("second", theirs, FIRST.configuration))
    assert alone.operator_password == (theirs or "made"), "who started just now does not know it"


def test_what_another_operator_wrote_meanwhile_is_the_truth():
    last = decided(FIRST)
    theirs = written(RedisUsers("hotel/concierge", "second", "of another"))
    assert decided(theirs, last).operator_password == "of another"


@pytest.mark.parametrize(
    "text", ["", "user default on nopass", "user default off", "\n" * 9, "user default on #xyz ~*"]
)
def test_a_file_of_users_that_somebody_broke_is_written_anew(text):
    users = decided(Found("first", OWN, text))
    assert (users.accepted, users.operator_password) == ((digest("first"),), OWN)


HOUR = 3600.0


@pytest.mark.parametrize(
    ("age", "due"),
    [(0, False), (HOUR - 1, False), (HOUR, True), (9 * HOUR, True), (-60, False), (-2 * HOUR, True)],
    ids=["new", "a second before", "to the second", "long since", "by a clock that is ahead", "by nobody's clock"],
)
def test_a_password_is_due_at_its_age(age, due):
    assert rotation.is_due(HOUR, 1e9, 1e9 + age) is due


def test_a_password_that_is_due_is_replaced_like_one_that_somebody_wrote():
    users = decided(FIRST, due=True, taken=("first",))
    assert (users.crew_password, users.retiring) == ("made", (digest("first"),))
    assert handed_on(users) == ("first", "1")


def test_nothing_is_begun_while_there_is_something_left_to_do_or_redis_is_away():
    assert decided(FIRST, due=True).crew_password == "first"
    second = written(decided(changed(FIRST, "second")))
    for taken in ((), ("second", "first")):
        assert decided(second, due=True, taken=taken).crew_password == "second"


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ((), ("new",), None),
        (("old",), (), None),
        (("old",), ("old",), None),
        (("old",), ("new", "old"), Reason.REDIS_PASSWORD_CHANGED),
        (("new", "old"), ("new", "old"), None),
        (("new", "older", "old"), ("new", "old"), None),
        (("new", "old"), ("new",), Reason.REDIS_PASSWORD_ROTATED),
        (("old",), ("new",), Reason.REDIS_PASSWORD_CHANGED),
    ],
)
def test_a_step_is_told_by_what_redis_takes(before, now, told):
    assert rotation.step(before, now) is told
