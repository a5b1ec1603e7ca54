"""How a command speaks with the person who runs it: it asks before it acts, and may be ended with
^C at any time.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from django.core.management.base import CommandError

from jobs.storage.errors import explain

INTERRUPTED = 130  # what a shell reports of a command that ^C has ended


def agrees(question: str) -> bool:
    """Ask whether to go on. Raises CommandError where nobody is at the terminal."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"{question} Nobody is here to be asked: say --yes to do it, or --dry-run to see them."
        )
    return input(f"{question} Go on? [y/N] ").strip().lower() in ("y", "yes")


@contextmanager
def interruptible() -> Iterator[Event]:
    """Give an event that ^C sets, so that what is in hand is still done and counted; a second ^C
    ends at once.
    """
    interrupted = Event()

    def interrupt(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def no_store(error: BaseException) -> str:
    """Return why the store can't be used, and what to do."""
    return explain(error) or f"The store does not answer ({type(error).__name__})."


def counted(count: int, noun: str) -> str:
    """Return the count with its noun: 1 job, 2 jobs."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
