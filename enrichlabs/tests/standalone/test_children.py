"""How children are restarted and stopped, with shells as children."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from harness.running import ROOT

SUPERVISOR = """
import sys
from enrichlabs.standalone.children import Child, Children
with Children() as children:
    for number, script in enumerate(sys.argv[1:]):
        children.start(Child(f"child {number}", ["sh", "-c", script]))
    children.watch()
"""
WAIT = "for _ in $(seq 200); do sleep 0.05; done"  # for 10 s at most, whatever goes wrong
STUBBORN = f"trap '' TERM; echo up; {WAIT}"


def polite(name: str) -> str:
    return f"trap 'echo {name} stops; exit' TERM; echo up; {WAIT}"


@pytest.fixture
def supervise() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that supervises one shell script a stage and returns when each has said
    `up`.
    """
    started = []

    def supervise(*scripts: str, up: int = 0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SUPERVISOR, *scripts]
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


def test_stages_are_stopped_in_the_reverse_order(
    supervise: Callable[..., subprocess.Popen[str]],
) -> None:
    supervisor = supervise(polite("first"), polite("second"), up=2)
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.communicate(timeout=10)[0] == "second stops\nfirst stops\n"
    assert supervisor.returncode == 0


def test_a_child_that_keeps_dying_brings_everything_down(
    supervise: Callable[..., subprocess.Popen[str]],
) -> None:
    supervisor = supervise(polite("first"), "echo up; exit 3", up=6)
    said, errors = supervisor.communicate(timeout=10)
    assert said == "first stops\n"
    assert errors.count("The child 1 ended with status 3; it is started again") == 4
    assert "Obstacle: The child 1 ended 5 times within 60 s, the last time with status 3" in errors


def test_a_second_signal_ends_even_what_will_not_stop(
    supervise: Callable[..., subprocess.Popen[str]],
) -> None:
    supervisor = supervise(STUBBORN, polite("second"), up=2)
    supervisor.terminate()
    assert supervisor.stdout.readline() == "second stops\n"
    supervisor.terminate()
    supervisor.communicate(timeout=5)  # which ends once no child holds the pipe any more
    assert supervisor.returncode == 1
