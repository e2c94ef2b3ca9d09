"""What the command can fail with.

CrewctlError            shown as its message, exit code 1
+-- UsageError          the command line cannot work as it is, exit code 2
+-- ClusterError        a cluster cannot be asked
+-- UnreadableError     an answer is not read on
"""


class CrewctlError(Exception):
    """Something the user can act on; the message says what to change."""

    exit_code = 1


class UsageError(CrewctlError):
    """The command line cannot work as it is."""

    exit_code = 2


class ClusterError(CrewctlError):
    """A cluster cannot be asked."""


class UnreadableError(CrewctlError):
    """An answer is not read on."""
