"""The command run_worker, as a process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.running import ROOT, environment
from harness.valkey import Valkey

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_a_worker_gracefully(
    tmp_path: Path, valkey: Valkey, number: signal.Signals
) -> None:
    variables = environment(tmp_path, REDIS_URL=valkey.url)
    command = [sys.executable, "manage.py"]
    subprocess.run([*command, "migrate", "--verbosity=0"], cwd=ROOT, env=variables, check=True)
    with subprocess.Popen(
        [*command, "run_worker"], cwd=ROOT, env=variables, stderr=subprocess.PIPE, text=True
    ) as worker:
        try:
            first_line = worker.stderr.readline()
            worker.send_signal(number)
            _, rest = worker.communicate(timeout=20)
        finally:
            worker.kill()
    assert "starts, for all vendors" in first_line
    assert "has stopped; 0 calls were interrupted" in rest
    assert worker.returncode == 0
