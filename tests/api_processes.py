"""Two API processes of gunicorn on the tests' store."""

import os
import subprocess
import sys

from harness.ports import free_port
from harness.running import get
from harness.waiting import wait_for
from tests.conftest import ROOT, store_url

START_SECONDS = 60


class APIProcesses:
    def __init__(self, log):
        self.port = free_port()
        self._log = log
        self.start()

    def start(self):
        command = [sys.executable, "-m", "gunicorn", "-c", "python:enrichlabs.gunicorn"]
        command += ["--worker-class", "harness.gunicorn_workers.PatientWorker", "-w", "2"]
        self.process = subprocess.Popen(
            [*command, "-b", f"127.0.0.1:{self.port}", "enrichlabs.wsgi"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": store_url(), "SERVES": "api"},
            stdout=self._log.open("ab"),
            stderr=subprocess.STDOUT,
        )
        wait_for(self._is_up, "gunicorn to answer", START_SECONDS)

    def _is_up(self):
        assert self.process.poll() is None, self._log.read_text()
        try:
            return get(self.port, "/healthz")[0] == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
