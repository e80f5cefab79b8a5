"""The exit code of the process, once it is settled. Nothing is imported: a signal may come before anything is."""


class Ending:
    """`code` is the exit code that is settled, from where on a signal changes nothing more; None before."""

    code: int | None = None
