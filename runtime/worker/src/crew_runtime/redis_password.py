"""The password of Redis out of a folder that changes while this process runs, asked for each new connection."""

from pathlib import Path
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from crew_runtime.contract import redis_credentials


class PasswordInFolder(CredentialProvider):
    """For redis-py. A folder that cannot be read leaves the password that was last read, or the given one."""

    def __init__(self, folder: str, username: str | None, password: str | None) -> None:
        self._path = Path(folder, redis_credentials.PASSWORD)
        self._username = username
        self._password = password or ""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password as they are now."""
        self._password = self._read() or self._password
        return (self._username, self._password) if self._username else (self._password,)

    def begin(self, connection: Any) -> None:
        """Begin a connection, as its `on_connect` does. Where Redis refuses a password that is another one by now, once
        more. Raises redis-py's errors."""
        before = self.get_credentials()
        try:
            connection.on_connect()
        except AuthenticationError:
            if self.get_credentials() == before:
                raise
            connection.on_connect()

    def _read(self) -> str:
        try:
            with self._path.open("rb") as file:
                return redis_credentials.password(file.read(redis_credentials.LONGEST + 1))
        except OSError:
            return ""
