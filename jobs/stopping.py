"""Whether this process has been told to stop. Whatever keeps a request for long ends it then."""

import logging
from collections.abc import Callable
from threading import Event

log = logging.getLogger(__name__)

_told = Event()
_callbacks: list[Callable[[], None]] = []


def is_stopping() -> bool:
    return _told.is_set()


def when_stopping(callback: Callable[[], None]) -> None:
    """Have `callback` called, once, when the process is told to stop. The main thread calls it, so
    it must not block. Register it when the module is loaded.
    """
    _callbacks.append(callback)


def begin() -> None:
    """Tell everybody. Called by the main thread of the server, never by a signal handler, which
    might interrupt the holder of a lock that a callback needs.
    """
    if _told.is_set():
        return
    _told.set()
    for callback in _callbacks:
        try:
            callback()
        except Exception:
            log.exception("Failed to end what is under way")
