"""What a local cluster can fail with.

LocalClusterError       shown as its message, exit code 1
+-- UsageError          what was asked for cannot work as it is, exit code 2
+-- ClusterError        the cluster did not come up, or is not there
"""


class LocalClusterError(Exception):
    """Something the user can act on; the message says what to change."""

    exit_code = 1


class UsageError(LocalClusterError):
    """What was asked for cannot work as it is."""

    exit_code = 2


class ClusterError(LocalClusterError):
    """The cluster did not come up, or is not there."""
