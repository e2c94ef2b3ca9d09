import base64
import hashlib
import hmac
import subprocess

import pytest

from crew_runtime.contract import tokens


@pytest.mark.parametrize("text", ["t0ken", "t0ken\n", "\r\n t0ken \t\n"])
def test_a_line_end_is_not_part_of_a_token(text):
    assert tokens.read(text) == "t0ken"


def test_blanks_inside_are_part_of_it():
    assert tokens.read("correct horse\n") == "correct horse"


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "empty"), (" \n", "empty"), ("a\nb", "control"), ("se\xe4me", "ASCII"), ("x" * 1025, "1024")],
)
def test_what_can_be_no_token_is_refused_and_not_repeated(text, says):
    with pytest.raises(ValueError, match=says) as caught:
        tokens.read(text)
    assert not text.strip() or text not in str(caught.value)


def test_key_of_webhooks_is_not_the_token_and_is_what_the_docs_say():
    key = tokens.webhook_key("t0ken")
    assert key == hmac.new(b"t0ken", b"crewops-webhook-signature-v1", hashlib.sha256).digest()
    assert base64.b64decode(tokens.webhook_secret("t0ken").removeprefix("whsec_")) == key
    assert b"t0ken" not in key


def test_openssl_makes_the_same_key():
    command = "printf %s crewops-webhook-signature-v1 | openssl dgst -sha256 -hmac t0ken -binary | base64"
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert tokens.webhook_secret("t0ken") == f"whsec_{made}"
