import pytest

from crew_operator.desired.redis_users import RedisUsers

USERS = RedisUsers("hotel/concierge", "s3cret", "0perator")


def test_no_password_can_be_read_out_of_the_configuration_nor_of_a_message():
    for text in (USERS.configuration(), repr(USERS), str(USERS.update(search=True))):
        assert "s3cret" not in text
        assert "0perator" not in text


@pytest.mark.parametrize("changed", [("other/crew", "s3cret", "0perator"), ("hotel/concierge", "new", "0perator"),
                                     ("hotel/concierge", "s3cret", "new")])  # fmt: skip
def test_whatever_changes_the_users_changes_what_is_asked_for(changed):
    assert RedisUsers(*changed).question(search=True) != USERS.question(search=True)


def test_a_server_that_has_the_search_module_since_is_brought_to_other_rules():
    assert USERS.question(search=True) != USERS.question(search=False)


def test_the_note_that_the_rules_hold_is_written_last():
    last = USERS.note(search=True)
    assert USERS.question(search=True)[-1] in "".join(last)
    assert "off" in last


def test_the_configuration_names_no_command_of_a_module():
    """A server without the module would not start."""
    assert "ft." not in USERS.configuration()


def test_a_key_prefix_is_no_pattern():
    rules = str(RedisUsers("a*[b]?", "s", "o").update(search=False))
    assert repr(r"~cs:{a\*\[b\]\?}:*") in rules
