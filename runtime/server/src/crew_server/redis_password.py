"""The password of Redis out of a folder that changes while this process runs, asked for each new connection."""

from pathlib import Path
from typing import Any

from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from crew_runtime.contract import redis_credentials


class PasswordInFolder(CredentialProvider):
    """For redis-py. A folder that cannot be read leaves the password that was last read, or the given one.

    Its files are in the kernel's memory (a Secret's volume), so that reading them does not hold up the loop.
    """

    def __init__(self, folder: str, username: str | None, password: str | None) -> None:
        self._folder = Path(folder)
        self._username = username
        self._password = password or ""
        self.version = ""
        """Of what the last connection that Redis took was made with."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """User and password as they are now."""
        self._password = redis_credentials.password(self._read(redis_credentials.PASSWORD)) or self._password
        return (self._username, self._password) if self._username else (self._password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same; redis-py's own says at each connection that it should be overridden."""
        return self.get_credentials()

    async def begin(self, connection: Any) -> None:
        """Begin a connection, as its `on_connect` does. Where Redis refuses a password that is another one by now, once
        more. Raises redis-py's errors."""
        version, before = self._version(), self.get_credentials()
        try:
            await connection.on_connect()
        except AuthenticationError:
            version = self._version()
            if self.get_credentials() == before:
                raise
            await connection.on_connect()
        self.version = version

    def _version(self) -> str:
        return redis_credentials.version(self._read(redis_credentials.VERSION).decode(errors="replace"))

    def _read(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(redis_credentials.LONGEST + 1)
        except OSError:
            return b""
