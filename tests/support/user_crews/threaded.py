"""A module with a thread of its own from import on."""

import threading

from support.user_crews import plain

threading.Thread(target=threading.Event().wait, name="users-poller", daemon=True).start()
crew = plain.make()
