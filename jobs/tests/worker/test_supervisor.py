"""Processes under a supervisor: restarted when they die, stopped in order."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from harness.running import ROOT

Supervise = Callable[..., "subprocess.Popen[str]"]

SHELLS = """
import sys
from jobs.worker.supervisor.processes import Program
from jobs.worker.supervisor import Supervisor
with Supervisor() as supervisor:
    for number, script in enumerate(sys.argv[1:]):
        supervisor.start(Program(f"process {number}", ["sh", "-c", script]))
    supervisor.watch()
"""
FORKS = """
import sys
from jobs.worker.supervisor.processes import Fork
from jobs.worker.supervisor import Supervisor
def run(code):
    exec(code)
with Supervisor() as supervisor:
    works = [lambda code=code: run(code) for code in sys.argv[1:]]
    supervisor.start(*(Fork(f"fork {number}", work) for number, work in enumerate(works)))
    supervisor.watch()
"""
WAIT = "for _ in $(seq 200); do sleep 0.05; done"  # 10 s at most, whatever goes wrong
STUBBORN = f"trap '' TERM; echo up; {WAIT}"


def polite(name: str) -> str:
    return f"trap 'echo {name} stops; exit' TERM; echo up; {WAIT}"


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Supervise these scripts, and return once each has written `up` so many times in all."""
    started = []

    def supervise(*scripts: str, up: int = 0, supervisor: str = SHELLS) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", supervisor, *scripts]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert [process.stdout.readline() for _ in range(up)] == ["up\n"] * up
        return process

    yield supervise
    for process in started:
        process.kill()
        process.communicate()


def test_stages_stop_in_reverse_order(supervise: Supervise) -> None:
    supervisor = supervise(polite("first"), polite("second"), up=2)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.communicate(timeout=10)[0] == "second stops\nfirst stops\n"
    assert supervisor.returncode == 0


def test_everything_stops_when_a_program_keeps_dying(supervise: Supervise) -> None:
    supervisor = supervise(polite("first"), "echo up; exit 3", up=6)
    output, errors = supervisor.communicate(timeout=10)
    assert output == "first stops\n"
    assert errors.count("The process 1 ended with status 3; restarting it") == 4
    ended = "The process 1 ended 5 times within 60 s, most recently with status 3"
    assert f"KeepsDying: {ended}" in errors


def test_a_second_signal_kills_a_program_that_will_not_stop(supervise: Supervise) -> None:
    supervisor = supervise(STUBBORN, polite("second"), up=2)
    supervisor.terminate()
    assert supervisor.stdout.readline() == "second stops\n"
    supervisor.terminate()
    supervisor.communicate(timeout=5)  # returns once no process has the pipe open
    assert supervisor.returncode == 1


def test_forks_that_return_are_not_restarted(supervise: Supervise) -> None:
    supervisor = supervise("print('one', flush=True)", "print('two')", supervisor=FORKS)
    output, errors = supervisor.communicate(timeout=10)
    assert output.count("one") == 1
    assert (errors, supervisor.returncode) == ("", 0)


def test_the_other_forks_stop_when_one_keeps_dying(supervise: Supervise) -> None:
    waits = "import signal; print('up', flush=True); signal.pause()"
    supervisor = supervise(waits, "raise SystemExit(3)", up=1, supervisor=FORKS)
    errors = supervisor.communicate(timeout=10)[1]
    assert errors.count("The fork 1 ended with status 1; restarting it") == 4
    assert "KeepsDying: The fork 1 ended 5 times within 60 s" in errors
