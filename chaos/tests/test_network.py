"""Hosts can be parted and rejoined. Skipped where network namespaces are unavailable."""

import signal
import subprocess
import sys

import pytest

from chaos.alone import AS_USER, UNSHARE, can
from harness.waiting import wait_for

ALONE = [sys.executable, "-m", "chaos.alone"]

# Prints at each step whether one host gets an answer from the other. A timeout prints "silence"; a
# refusal would be an error.
STEPS = """
import subprocess, sys
from chaos.network import Network

SERVE = '''
import socket, sys
listener = socket.create_server((sys.argv[1], 80))
print("up", flush=True)
while True:
    listener.accept()[0].send(b"yes")
'''
ASK = '''
import socket, sys
try:
    print(socket.create_connection((sys.argv[1], 80), 0.4).recv(9).decode(), flush=True)
except TimeoutError:
    print("silence", flush=True)
'''

network = Network()
one, other, third = [network.add(name) for name in ("one", "other", "third")]
command = other.command([sys.executable, "-c", SERVE, other.address])
server = subprocess.Popen(command, stdout=subprocess.PIPE)
server.stdout.readline()

def ask(host):
    subprocess.run(host.command([sys.executable, "-c", ASK, other.address]), check=True)

ask(one)
network.part(one, other)
ask(one)
ask(third)
network.rejoin(one, other)
ask(one)
network.cut_off(other)
ask(third)
network.join(other)
ask(third)
subprocess.run(other.command(["hostname"]), check=True)
"""


@pytest.fixture(autouse=True)
def _needs_namespaces():
    if not can(UNSHARE) and not can([*UNSHARE, *AS_USER]):
        pytest.skip("network namespaces are unavailable")


def test_parted_hosts_receive_nothing_from_each_other():
    ran = subprocess.run(
        [*ALONE, sys.executable, "-c", STEPS], stdout=subprocess.PIPE, check=True, text=True
    )
    assert ran.stdout.split() == ["yes", "silence", "yes", "yes", "silence", "yes", "other"]


def test_the_exit_status_is_that_of_the_command():
    assert subprocess.run([*ALONE, "sh", "-c", "exit 7"], check=False).returncode == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_all_processes_end_with_the_command(number):
    # A live grandchild, in its own session, would keep the pipe open.
    command = "setsid sleep 1000 & echo up; sleep 1000"
    alone = subprocess.Popen([*ALONE, "sh", "-c", command], stdout=subprocess.PIPE)
    assert alone.stdout.readline() == b"up\n"
    alone.send_signal(number)
    assert alone.stdout.read() == b""
    wait_for(lambda: alone.poll() is not None, "the end")


def test_an_error_names_what_is_needed_without_namespaces(tmp_path):
    ran = subprocess.run(
        [*ALONE, "true"],
        env={"PATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    assert ran.returncode == 2
    assert "Network namespaces" in ran.stderr
