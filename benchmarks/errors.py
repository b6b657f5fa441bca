"""Why a benchmark has no figure."""


class NotRun(Exception):
    """A contender cannot be measured here; the message says why."""
