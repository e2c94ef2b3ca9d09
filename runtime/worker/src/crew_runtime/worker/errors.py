"""What keeps the worker from starting, as reason and message for the replica's report.

StartError          -- the worker cannot serve; the operator's user has to change something
ServerGoneError     -- nobody listens on the socket
"""


class StartError(Exception):
    """The worker cannot serve.

    Args:
        reason: CamelCase, shown in the report and in the CrewDeployment's conditions.
        message: What is wrong and what to change.
        detail: The tail of the traceback in the user's code, or ``.
    """

    def __init__(self, reason: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.detail = detail

    @property
    def full(self) -> str:
        """Message and detail."""
        return f"{self.message}\n{self.detail}" if self.detail else self.message


class ServerGoneError(Exception):
    """The server half does not listen, or went and did not return in time."""
