"""Who may use the API of a crew that runs: who shows its token, or everybody where the spec says so."""

import httpx

from crew_runtime.contract import tokens
from support.hotel import FACT, QUESTION, WORD, names

INPUTS = {"inputs": {"message": QUESTION}}


def _asked(hotel, pod, token):
    """The status of an answer to a kickoff that shows this token."""
    return hotel.cluster.ask(pod, "kickoff?wait=30", INPUTS, 40, token).status_code


def test_a_new_crew_asks_for_the_token_in_its_secret(hotel):
    one, other = hotel.replicas()
    assert hotel.token() == hotel.secret(f"{hotel.name}-api-token", "token")
    for pod in (one, other):
        assert _asked(hotel, pod, None) == httpx.codes.UNAUTHORIZED
        assert _asked(hotel, pod, "x" + hotel.token()[1:]) == httpx.codes.UNAUTHORIZED
    hotel.say(one, FACT, "ada")
    assert WORD in hotel.say(other, QUESTION, "ada")


def test_a_receiver_of_webhooks_gets_its_key_and_not_the_token(hotel):
    done = hotel.crewctl("webhook-key", hotel.name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == tokens.webhook_secret(hotel.token())
    assert hotel.token() not in done.stdout
    assert "no CrewDeployment nobody" in hotel.crewctl("webhook-key", "nobody").stderr


def test_another_token_in_the_secret_is_the_one_that_counts(hotel):
    before, old = hotel.token(), hotel.replicas()
    hotel.kubectl("delete", "secret", f"{hotel.name}-api-token")
    (one, _) = hotel.wait_replicas(2, but=names(old))
    assert hotel.token() != before
    assert _asked(hotel, one, before) == httpx.codes.UNAUTHORIZED
    assert WORD in hotel.say(one, QUESTION, "ada")


def test_a_crew_is_open_when_its_spec_says_so(hotel):
    old = hotel.replicas()
    hotel.patch({"crew": {"api": {"auth": "None"}}})
    (one, _) = hotel.wait_replicas(2, but=names(old))
    hotel.wait_ready()
    assert hotel.condition("Ready")["reason"] == "AllGood"
    assert _asked(hotel, one, None) == httpx.codes.OK
    assert WORD in hotel.say(one, QUESTION, "ada")
    assert "has no token" in hotel.crewctl("webhook-key", hotel.name).stderr
