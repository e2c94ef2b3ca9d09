"""What an operator remembers of credentials between passes that went wrong."""

import pytest

from crew_operator.api import parse
from crew_operator.desired import credentials
from crew_operator.desired.credentials import Credentials
from crew_operator.rolls import Digests, Generated, Rolls
from support.crews import crew_manifest

CREW = parse.crew_deployment(crew_manifest(namespace="hotel", uid="1"))
WORKLOAD = {"metadata": {"name": "concierge-redis"}, "spec": {"template": {}}}
FIRST, SECOND = (Credentials({"password": f"secret.{version}"}).seen for version in (1, 2))


@pytest.fixture
def judge():
    """`judge(Generated(...), recorded)`: a pass of an operator that has just started; whether it rolls the pods."""
    rolls = Rolls(Digests())

    def ask(password: Generated, recorded: str) -> bool:
        roll = rolls.judge(CREW, credentials.REDIS, WORKLOAD, recorded, password, Generated(), {})
        return roll.annotation != credentials.annotation(WORKLOAD)

    return ask


def test_a_write_of_the_operators_whose_pass_or_status_failed_rolls_nothing_in_the_next_one(judge):
    """As after an upgrade that adds a key to the Secret."""
    assert not judge(Generated("same", "secret", "secret.1", "secret.2"), FIRST)
    assert not judge(Generated("same", "secret", "secret.2", "secret.2"), FIRST)
    assert not judge(Generated("same", "secret", "secret.2", "secret.2"), SECOND)


def test_another_password_rolls_whatever_failed_before(judge):
    assert not judge(Generated("old", "secret", "secret.1", "secret.1"), FIRST)
    assert judge(Generated("new", "secret", "secret.2", "secret.2"), FIRST)
    assert judge(Generated("new", "secret", "secret.2", "secret.2"), FIRST), "it was not done"


def test_what_changed_while_no_operator_ran_rolls(judge):
    assert judge(Generated("unknown", "secret", "secret.2", "secret.2"), FIRST)
    assert judge(Generated("unknown", "secret", "secret.2", "secret.2"), FIRST), "it was not done"
