"""Why the command ends, as a sentence and an exit status."""

COMPLETE, INCOMPLETE, USAGE, SERVICE, INTERRUPTED = 0, 1, 2, 3, 130


class UsageError(Exception):
    """The arguments or the input must be changed. Nothing was posted."""
