"""`crew-server`: settings out of the environment, then the server. Exit code 2 when the settings are wrong."""

import asyncio
import os
import sys

from crew_server import app, logs, settings
from crew_server.errors import SettingsError


def main() -> int:
    """Run until SIGTERM."""
    try:
        chosen = settings.from_environ(os.environ)
        logs.configure(as_json=chosen.log_json)
        asyncio.run(_run(chosen))
    except SettingsError as error:
        for one in error.problems:
            sys.stderr.write(f"crew-server: {one}\n")
        return 2
    return 0


async def _run(chosen: settings.Settings) -> None:
    await app.App(chosen).run()


if __name__ == "__main__":
    sys.exit(main())
