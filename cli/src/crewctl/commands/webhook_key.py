"""`crewctl webhook-key`: what a receiver of a crew's webhooks verifies them with."""

import argparse

from crew_runtime.contract import tokens
from crewctl import target
from crewctl.errors import ClusterError

HELP = "print the key that a crew's webhooks are signed with"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("name", metavar="NAME", help="the CrewDeployment")
    target.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Print it, derived from the token of the crew's API. Raises ClusterError when there is none."""
    kube = target.connect(options)
    try:
        token = kube.api_token(kube.wanted(options.name))
    finally:
        kube.close()
    if token is None:
        raise ClusterError(f"the API of {options.name} has no token, so its webhooks are not signed")
    print(tokens.webhook_secret(token))
    return 0
