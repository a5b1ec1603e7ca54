"""Keeps processes running: starts them, restarts those that die, stops them in reverse order."""

import logging
import os
import signal
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Self

from jobs.worker.supervisor.processes import SIGNALS, Process

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
MAX_DEATHS = 5
DEATHS_WINDOW_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 0.1


class Stopped(Exception):  # noqa: N818 - not an error
    """A signal asks the supervisor to stop."""


class KeepsDying(Exception):  # noqa: N818 - reads as what happened
    """A process died MAX_DEATHS times within DEATHS_WINDOW_SECONDS. The text is for operators."""


class Supervisor:
    """Runs processes in stages: started in order, stopped in reverse order.

    A context manager that stops all of them on exit, each stage with `grace_seconds` between
    SIGTERM and SIGKILL. The first SIGINT, SIGTERM or SIGHUP ends the block; a second one kills
    everything at once.
    """

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._stages: list[list[Process]] = []
        self._deaths: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=MAX_DEATHS))
        self._signals_received = 0
        for number in SIGNALS:
            # nohup ignores SIGHUP.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
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

    def start(self, *processes: Process) -> None:
        """Start these processes as the next stage."""
        stage: list[Process] = []
        self._stages.append(stage)
        for process in processes:
            process.start()
            stage.append(process)

    def wait_until(self, condition: Callable[[], bool], timeout_seconds: float) -> bool:
        """Return whether `condition` has come true in time. Raises what `watch` raises."""
        give_up_at = time.monotonic() + timeout_seconds
        while not condition():
            self._restart_dead()
            if time.monotonic() > give_up_at:
                return False
            time.sleep(CHECK_INTERVAL_SECONDS)
        return True

    def watch(self) -> None:
        """Return when all processes have finished. Raises Stopped after a signal, KeepsDying when
        one keeps dying.
        """
        while not all(process.has_finished() for process in self._processes()):
            self._restart_dead()
            time.sleep(CHECK_INTERVAL_SECONDS)

    def _restart_dead(self) -> None:
        if self._signals_received:
            raise Stopped
        for process in self._processes():
            if process.status() is not None and not process.has_finished():
                self._restart(process)

    def _restart(self, process: Process) -> None:
        process.clean_up()
        ended = f"The {process.name} ended"
        deaths = self._deaths[process.name]
        deaths.append(time.monotonic())
        if len(deaths) == MAX_DEATHS and deaths[-1] - deaths[0] < DEATHS_WINDOW_SECONDS:
            raise KeepsDying(
                f"{ended} {MAX_DEATHS} times within {DEATHS_WINDOW_SECONDS:.0f} s, most recently "
                f"{process.how_it_ended()}. See its output above. Everything else is stopped."
            )
        log.warning("%s", process.repair() or f"{ended} {process.how_it_ended()}; restarting it")
        process.start()

    def _processes(self) -> list[Process]:
        return [process for stage in self._stages for process in stage]

    def _stop(self, stage: Sequence[Process]) -> None:
        running = [process for process in stage if process.status() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        give_up_at = time.monotonic() + self._grace_seconds
        while time.monotonic() < give_up_at and any(each.status() is None for each in running):
            time.sleep(CHECK_INTERVAL_SECONDS / 2)
        for process in running:
            if process.status() is None:
                text = "The %s did not stop within %.0f s; killing it"
                log.warning(text, process.name, self._grace_seconds)
        for process in stage:
            process.kill()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals_received += 1
        if self._signals_received > 1:
            for process in self._processes():
                process.kill()
            os._exit(1)
