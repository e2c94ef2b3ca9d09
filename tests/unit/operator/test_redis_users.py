import dataclasses

import pytest

from crew_operator import redis_users
from crew_operator.desired.redis_users import RedisUsers
from crew_operator.resp import ErrorReply

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


class Server:
    """What a Redis that knows none of the users was asked, with how it answered."""

    def __init__(self):
        self.asked, self.cut_off = [], 0
        self.held = set()

    async def ask(self, *words):
        if words[:2] == ("ACL", "DRYRUN"):
            if words in self.held:
                return "OK"
            raise ErrorReply("ERR")
        self.asked.append(words)
        if words == USERS.note(search=False):
            self.held.add(USERS.question(search=False))
        return "OK"

    async def ends_connections(self):
        self.cut_off += 1


async def test_who_cuts_nobody_off_leaves_the_note_that_it_was_done_to_who_does():
    server = Server()
    await redis_users.bring(server.ask, USERS, None)
    assert (server.cut_off, list(USERS.update(search=False))) == (0, server.asked)
    await redis_users.bring(server.ask, USERS, server.ends_connections)
    await redis_users.bring(server.ask, USERS, server.ends_connections)
    assert server.cut_off == 1


async def test_while_an_earlier_password_holds_there_is_nobody_to_cut_off():
    retiring = dataclasses.replace(USERS, retiring=("ab" * 32,))
    server = Server()
    await redis_users.bring(server.ask, retiring, None)
    assert server.asked == [*retiring.update(search=False), retiring.note(search=False)]
