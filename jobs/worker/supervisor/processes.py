"""The kinds of process that a supervisor runs.

A Program starts afresh: the parts of the one-machine service. A Fork runs a function in a copy of
this process: `run_worker --processes N`, where a fork shares the loaded code and needs half the
memory of a fresh start.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO, NoReturn

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # each asks a process to stop
PARENT_CHECK_INTERVAL_SECONDS = 1.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass
class Process:
    """A process that a supervisor keeps running."""

    name: str

    def start(self) -> None:
        raise NotImplementedError

    def status(self) -> int | None:
        """Return the exit status, minus the number of the signal that killed it, or None while it
        runs.
        """
        raise NotImplementedError

    def has_finished(self) -> bool:
        """Whether it has done its work, so that it is not restarted."""
        return False

    def send_signal(self, number: signal.Signals) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        """Kill the process and whatever it has left behind."""
        self.send_signal(signal.SIGKILL)

    def clean_up(self) -> None:
        """End what a dead process has left behind."""

    def repair(self) -> str:
        """Remove a known obstacle to the next start. Return a log line that says so, or nothing."""
        return ""

    def how_it_ended(self) -> str:
        status = self.status() or 0
        return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


@dataclass
class Program(Process):
    """A command in a session of its own, so that Ctrl-C reaches the supervisor alone. On Linux the
    kernel sends it SIGTERM when the supervisor dies.

    `environment` replaces the inherited one. `inherited_fds` are file descriptors that stay open.
    `on_line` receives each line of output; without it, output goes where the supervisor's goes.
    """

    command: Sequence[str | os.PathLike[str]]
    environment: Mapping[str, str] | None = None
    inherited_fds: Sequence[int] = ()
    on_line: Callable[[str], None] | None = None

    def start(self) -> None:
        self._popen = subprocess.Popen(  # noqa: S603 - every command is our own
            self.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.inherited_fds,
            preexec_fn=_die_with_parent,
            stdout=subprocess.PIPE if self.on_line else None,
            stderr=subprocess.STDOUT if self.on_line else None,
        )
        if self.on_line:
            arguments = (self._popen.stdout, self.on_line)
            self._reader = Thread(target=_read_lines, args=arguments, daemon=True)
            self._reader.start()

    def status(self) -> int | None:
        return self._popen.poll()

    def send_signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def clean_up(self) -> None:
        self._signal_group(signal.SIGTERM)
        if self.on_line:
            self._reader.join(1.0)  # so that its last output precedes our line

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)


def _die_with_parent() -> None:
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _read_lines(output: IO[bytes], on_line: Callable[[str], None]) -> None:
    with output:
        for line in output:
            on_line(line.decode(errors="replace").rstrip())


@dataclass
class Fork(Process):
    """A function that runs in a copy of this process. It is not restarted once it has returned."""

    work: Callable[[], None]

    def start(self) -> None:
        parent = os.getpid()
        # A signal now must neither run our handler in the child nor miss it.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._pid = os.fork()
            if self._pid == 0:
                self._run(parent)
            self._status: int | None = None  # after the fork, which may fail
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _run(self, parent: int) -> NoReturn:
        status = 1
        try:
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            Thread(target=_stop_without_parent, args=(parent,), daemon=True).start()
            self.work()
            status = 0
        except BaseException:
            log.exception("The %s failed", self.name)
        finally:
            logging.shutdown()
            os._exit(status)

    def status(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def has_finished(self) -> bool:
        return self.status() == 0

    def send_signal(self, number: signal.Signals) -> None:
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)


def _stop_without_parent(parent: int) -> None:
    """Stop this process once its parent has died: nothing would pass signals on to it."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_INTERVAL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
