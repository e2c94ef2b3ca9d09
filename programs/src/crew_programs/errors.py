"""What finding or running a program can fail with."""


class ProgramError(Exception):
    """A program cannot be had, or it failed; the message says what to install or what the program said."""

    exit_code = 1
