"""`manage.py run_worker` in a process forked from one that has already loaded Django.

Loading takes a second of CPU, and the test suite starts two hundred workers.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import django
from django.apps import apps
from django.core.management import execute_from_command_line

if not apps.ready:
    # In the process that workers are forked from. It must not connect to anything.
    django.setup()
from jobs.management.commands import run_worker  # noqa: F401 - loaded once, too

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])


class PreloadedWorker:
    """Has the interface of `subprocess.Popen`. Its environment is that of the first one started,
    and `variables`, which must be none that the settings read.
    """

    def __init__(
        self,
        options: Sequence[str],
        *,
        log: Path,
        store: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        arguments = (options, str(log), dict(variables or {}))
        self._process = SERVER.Process(target=_run, args=arguments)
        with patch.dict(os.environ, DATABASE_URL=store):
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        assert status is not None, f"the worker did not end within {timeout} s"
        return status


def _run(options: Sequence[str], log: str, variables: Mapping[str, str]) -> None:
    os.setsid()
    os.environ.update(variables)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    execute_from_command_line(["manage.py", "run_worker", *options])
