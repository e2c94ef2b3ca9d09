"""What can go wrong while a payload is made."""


class InjectionError(Exception):
    """The base of them all; its text says what to do."""


class VendoringError(InjectionError):
    """A source that the rewriter does not understand: it must learn the form, for guessing would break at run time."""


class PayloadError(InjectionError):
    """A part of the payload is missing or cannot be written."""
