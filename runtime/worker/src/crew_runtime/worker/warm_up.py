"""The function that a crew's author named to load what the first kickoff would otherwise load."""

import importlib
from operator import attrgetter

from crew_runtime.crewai.loading.load import user_traceback


class WarmUpError(Exception):
    """It cannot be called, or raised; `detail` is the tail of the user's traceback, or ``."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


def call(name: str) -> None:
    """Call `module:function` without arguments. Raises WarmUpError, which says what to change."""
    module, colon, path = name.partition(":")
    if not module or not colon or not path:
        raise WarmUpError(f"the warm-up {name!r} is not of the form module:function")
    try:
        found = attrgetter(path)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise WarmUpError(f"the warm-up {name} was not found: {error}", user_traceback(error)) from error
    except Exception as error:
        raise WarmUpError(f"importing {module} for the warm-up failed: {error!r}", user_traceback(error)) from error
    if not callable(found):
        raise WarmUpError(f"the warm-up {name} is no function")
    try:
        found()
    except (Exception, SystemExit) as error:
        raise WarmUpError(f"the warm-up {name} failed: {error!r}", user_traceback(error)) from error
