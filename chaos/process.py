"""A part of the system under test: a process that can be killed, frozen and restarted."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock

from chaos.journal import Journal
from harness.waiting import wait_for

READY_TIMEOUT_SECONDS = 60.0
END_TIMEOUT_SECONDS = 30.0


class Part:
    """One process and its children, in their own session. The journal records all that is done."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        journal: Journal,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self._log = log
        self._journal = journal
        self._is_ready = is_ready
        self._lock = RLock()
        self._is_wanted = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start it, without waiting until it is ready."""
        with self._lock, self._log.open("ab") as output:
            self._is_wanted = True
            self._process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        wait_for(self._is_ready, f"{self.name} to be ready", READY_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """Kill it and all its children."""
        with self._lock:
            self._is_wanted = False
            self._journal.note_end(self.pid, self.name, "SIGKILL")
            self._signal(signal.SIGKILL)
            if self._process:
                self._process.wait()

    def end(self) -> None:
        """Send SIGTERM and wait; kill it if it does not end in time."""
        with self._lock:
            self._is_wanted = False
            self._journal.note_end(self.pid, self.name, "SIGTERM")
            if not self._process:
                return
            self._process.terminate()
            try:
                self._process.wait(END_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._journal.note(f"{self.name} did not end within {END_TIMEOUT_SECONDS:.0f} s")
            self._signal(signal.SIGKILL)

    def freeze(self, seconds: float) -> None:
        with self._lock:
            self._journal.note_end(self.pid, self.name, "SIGSTOP")
            self._signal(signal.SIGSTOP)
            time.sleep(seconds)
            self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Restart it if it died unexpectedly, as a supervisor would."""
        if not self._lock.acquire(blocking=False):
            return  # a fault is acting on it
        try:
            if self._is_wanted and self._process and self._process.poll() is not None:
                status = self._process.returncode
                self._journal.note_end(self.pid, self.name, f"died unexpectedly (status {status})")
                self._journal.deaths += 1
                self._signal(signal.SIGKILL)
                self.start()
        finally:
            self._lock.release()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            if self._process:
                os.killpg(self._process.pid, number)
