"""Several worker processes under one parent: it passes signals on, replaces children that die, and
never lives half.
"""

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DEATHS = 5
WITHIN_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 1.0


class Processes:
    """Keeps `count` forked processes running `work` until they end by themselves or are told to
    stop.
    """

    def __init__(self, count: int, work: Callable[[], None]) -> None:
        self._count = count
        self._work = work
        self._children: set[int] = set()
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._signals = 0

    def run(self) -> int:
        """Return the exit status: 0 when all ended well, 1 when children kept dying."""
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        for _ in range(self._count):
            self._fork()
        status = 0
        while self._children:
            pid, ended = os.wait()
            self._children.discard(pid)
            if ended and not self._signals:
                status = self._replace(pid, os.waitstatus_to_exitcode(ended), status)
        return status

    def _replace(self, pid: int, code: int, status: int) -> int:
        self._deaths.append(time.monotonic())
        if len(self._deaths) == DEATHS and self._deaths[-1] - self._deaths[0] < WITHIN_SECONDS:
            log.error(
                "worker processes died %d times within %.0f s; all are stopped",
                DEATHS,
                WITHIN_SECONDS,
            )
            self._pass_on(signal.SIGTERM, None)
            return 1
        log.error("worker process %d died (exit status %d); another takes its place", pid, code)
        self._fork()
        return status

    def _fork(self) -> None:
        # No signal between the fork and the child's entry in the list; a child that is not ready
        # yet ends by one.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = os.fork()
        if pid == 0:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self._be_child()
        self._children.add(pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _be_child(self) -> None:
        status = 1
        Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        try:
            self._work()
            status = 0
        except BaseException:
            log.exception("the worker process failed")
        finally:
            logging.shutdown()
            os._exit(status)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        for child in self._children:
            with suppress(ProcessLookupError):
                os.kill(child, number if self._signals == 1 else signal.SIGKILL)


def _end_with_parent(parent: int) -> None:
    """Stop this process when its parent was killed: nobody would pass signals on to it any more."""
    while os.getppid() == parent:
        time.sleep(CHECK_INTERVAL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
