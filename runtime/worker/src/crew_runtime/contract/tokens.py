"""The token of a crew's API: what can be one, and the key for webhooks that is derived from it. Pure."""

import base64
import hashlib
import hmac
from typing import Final

MAX_LENGTH: Final = 1024
"""Characters."""
SIGNING: Final = b"crewops-webhook-signature-v1"
"""What the token signs to give the webhooks' key. Another way to sign takes another word."""


def read(text: str) -> str:
    """The token in `text`, without the line end that most files have.

    Raises:
        ValueError: it can be none; the message completes "the token ..." and does not repeat it.
    """
    token = text.strip()
    if not token:
        raise ValueError("is empty: write one, such as `openssl rand -hex 32` makes, or leave it out")
    if len(token) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters: write a shorter one")
    # What a header carries unchanged; with anything else everybody would be refused.
    if not all(" " <= one <= "~" for one in token):
        raise ValueError("has control characters or some beyond ASCII: write printable ASCII only")
    return token


def webhook_key(token: str) -> bytes:
    """The key that signs webhooks: who holds it can verify them, and learns nothing of the token."""
    return hmac.new(token.encode(), SIGNING, hashlib.sha256).digest()


def webhook_secret(token: str) -> str:
    """The same as libraries for Standard Webhooks take it."""
    return f"whsec_{base64.b64encode(webhook_key(token)).decode()}"
