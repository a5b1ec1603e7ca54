"""The processes of an installation: started, watched, started again when they die, and stopped in
order.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import IO, Self

from enrichlabs.standalone.preflight import Obstacle

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
MAX_DEATHS = 5
DEATHS_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 0.1
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class Stopped(Exception):  # noqa: N818 - it is no error
    """Somebody asked for the end."""


def _end_with_parent() -> None:
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One process, in a session of its own: Ctrl-C reaches the supervisor alone, which then stops
    its children in order.
    """

    name: str
    command: Sequence[str | os.PathLike[str]]
    environment: Mapping[str, str] | None = None  # None: ours
    inherits: Sequence[int] = ()  # file descriptors
    retell: Callable[[str], None] | None = (
        None  # is given each line that it writes; else these go where ours go
    )
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_DEATHS))

    def start(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - every command is our own
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.inherits,
            preexec_fn=_end_with_parent,
            stdout=subprocess.PIPE if self.retell else None,
            stderr=subprocess.STDOUT if self.retell else None,
        )
        if self.retell:
            self._reader = threading.Thread(
                target=self._retell, args=(self.process.stdout,), daemon=True
            )
            self._reader.start()

    def _retell(self, output: IO[bytes]) -> None:
        assert self.retell is not None  # noqa: S101 - for mypy
        with output:
            for line in output:
                self.retell(line.decode(errors="replace").rstrip())

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def restart(self) -> None:
        """Start again what has died. Raises Obstacle when it dies too often."""
        self.signal_group(signal.SIGTERM)
        if self.retell:
            self._reader.join(1.0)  # its last words come first
        now = time.monotonic()
        self.deaths.append(now)
        if len(self.deaths) == MAX_DEATHS and now - self.deaths[0] < DEATHS_SECONDS:
            raise Obstacle(
                f"The {self.name} ended {MAX_DEATHS} times within {DEATHS_SECONDS:.0f} s, the last time {self._how()}; "
                "its own words are above. Everything else is stopped."
            )
        log.warning(self.repair() or f"The {self.name} ended {self._how()}; it is started again")
        self.start()

    def repair(self) -> str:
        """Remove what keeps it from starting again, if it is known; return a line that says so."""
        return ""

    def _how(self) -> str:
        code = self.process.returncode
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"


class Children:
    """All children, in stages: started in this order, stopped in the reverse.

    A context that stops them all when it is left. The first SIGINT, SIGTERM or SIGHUP leaves it; a
    second one ends everything at once.
    """

    def __init__(self) -> None:
        self._stages: list[tuple[Child, ...]] = []
        self._signals = 0
        hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as it is under nohup
        for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])):
            signal.signal(number, self._on_signal)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        while self._stages:
            self._stop(self._stages[-1])
            self._stages.pop()
        return isinstance(error, Stopped)

    def start(self, *children: Child) -> None:
        self._stages.append(children)
        for child in children:
            child.start()

    def wait_until(
        self, condition: Callable[[], bool], seconds: float, obstacle: Callable[[], str]
    ) -> None:
        """Return when `condition` holds. Raises Obstacle when it does not within `seconds`, Stopped
        after a signal.
        """
        end = time.monotonic() + seconds
        while not condition():
            self._tend()
            if time.monotonic() > end:
                raise Obstacle(obstacle())
            time.sleep(CHECK_INTERVAL_SECONDS)

    def watch(self) -> None:
        """Never return. Raises Stopped after a signal, Obstacle when a child dies too often."""
        while True:
            self._tend()
            time.sleep(CHECK_INTERVAL_SECONDS)

    def _tend(self) -> None:
        if self._signals:
            raise Stopped
        for child in self._all():
            if not child.is_alive():
                child.restart()

    def _all(self) -> list[Child]:
        return [child for stage in self._stages for child in stage]

    def _stop(self, stage: Sequence[Child]) -> None:
        alive = [child for child in stage if child.is_alive()]
        for child in alive:
            child.process.terminate()
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end and any(child.is_alive() for child in alive):
            time.sleep(CHECK_INTERVAL_SECONDS / 2)
        for child in alive:
            if child.is_alive():
                log.warning(
                    "The %s did not stop within %.0f s and is killed", child.name, GRACE_SECONDS
                )
        self._kill(stage)

    def _kill(self, children: Sequence[Child]) -> None:
        for child in children:
            child.signal_group(signal.SIGKILL)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            self._kill(self._all())
            os._exit(1)
