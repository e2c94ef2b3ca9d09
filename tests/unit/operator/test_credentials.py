"""New credentials roll pods; an operator that starts, or a label that changes, does not."""

import pytest

from crew_operator.desired import credentials
from crew_operator.desired.credentials import Credentials

OLD = Credentials({"password": "uid.1"}, "digest of the old")
TOUCHED = Credentials({"password": "uid.2"}, "digest of the old")
NEW = Credentials({"password": "uid.2"}, "digest of the new")


@pytest.mark.parametrize("known", [[], [OLD]])
def test_the_version_that_the_status_names_rolls_nothing(known):
    assert not credentials.changed(OLD, OLD.seen, known)


@pytest.mark.parametrize("known", [[], [OLD]])
def test_a_crew_of_an_operator_that_kept_no_record_is_not_rolled_for_it(known):
    assert not credentials.changed(OLD, "", known)


def test_other_content_rolls():
    assert credentials.changed(NEW, OLD.seen, [OLD])


def test_another_label_on_the_secret_rolls_nothing():
    assert not credentials.changed(TOUCHED, OLD.seen, [OLD])


def test_who_does_not_know_what_was_there_before_rolls_to_be_safe():
    assert credentials.changed(TOUCHED, OLD.seen, [])
    assert credentials.changed(TOUCHED, OLD.seen, [NEW])


def test_a_status_that_is_behind_rolls_nothing_twice_and_forgets_no_roll():
    """It is written less often than the Secret is."""
    assert not credentials.changed(TOUCHED, OLD.seen, [OLD, TOUCHED])
    back = Credentials({"password": "uid.3"}, OLD.content)
    assert credentials.changed(back, OLD.seen, [OLD, NEW]), "the pods were made with the new value meanwhile"
    assert not credentials.changed(back, OLD.seen, [OLD, NEW, back])


def test_another_operator_that_acted_meanwhile_is_not_overlooked():
    assert credentials.changed(Credentials({"password": "uid.3"}, OLD.content), NEW.seen, [OLD])


def test_what_the_status_holds_is_made_of_versions_alone():
    assert NEW.seen == TOUCHED.seen
    assert Credentials().seen == ""


def test_a_secret_that_was_made_again_has_another_version():
    one = {"metadata": {"uid": "a", "resourceVersion": "7"}}
    assert credentials.version(one) != credentials.version({"metadata": {"uid": "b", "resourceVersion": "7"}})
    assert credentials.version(one) != credentials.version({"metadata": {"uid": "a", "resourceVersion": "8"}})
