"""The texts of the Lua scripts that Redis runs: here what several rooms share; each room holds its own."""

from importlib import resources

_PACKAGE = "crew_server"


def shared(name: str) -> str:
    """A script's beginning that several rooms put before their own."""
    return _text(f"{_PACKAGE}.lua", f"{name}.lua")


def contract(name: str) -> str:
    """The same, of what the worker half's scripts begin with too."""
    return _text("crew_runtime.contract", f"lua/{name}.lua")


def of(room: str, name: str) -> str:
    """A script of a room: `queue`, `sessions` or `webhooks`."""
    return _text(f"{_PACKAGE}.{room}", f"lua/{name}.lua")


def _text(package: str, path: str) -> str:
    return resources.files(package).joinpath(path).read_text(encoding="utf-8")
