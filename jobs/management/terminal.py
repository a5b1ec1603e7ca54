"""What commands share that talk to a person at a terminal: confirmation, ^C and counts."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from django.core.management.base import CommandError

from jobs.storage.errors import explain

INTERRUPTED = 130  # the exit status that shells report for ^C


def confirm(question: str) -> bool:
    """Ask whether to continue. Raises CommandError if there is no terminal."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"{question} No terminal to confirm on. Pass --yes to proceed, or --dry-run to preview."
        )
    return input(f"{question} Continue? [y/N] ").strip().lower() in ("y", "yes")


@contextmanager
def interruptible() -> Iterator[Event]:
    """Yield an event that ^C sets, so that the current step is finished and counted. A second ^C
    stops at once.
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


def store_fault(error: BaseException) -> str:
    """Return why the store can't be used, and the remedy."""
    return explain(error) or f"The store does not respond ({type(error).__name__})."


def counted(count: int, noun: str) -> str:
    """Return the count with its noun: 1 job, 2 jobs, 2 batches."""
    ending = "es" if noun.endswith("ch") else "s"
    return f"{count} {noun}{'' if count == 1 else ending}"
