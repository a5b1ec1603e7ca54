"""The embedded Valkey starts whatever a power cut has done to its files, and keeps intact ones."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from harness.running import ROOT, environment
from harness.waiting import wait_for

SUPERVISOR = """
from enrichlabs.standalone import startup, valkey
from jobs.worker.supervisor import Supervisor
startup.load_settings()
with startup.locked_data_folder() as lock, Supervisor() as supervisor:
    supervisor.start(valkey.program(lock.fileno()))
    assert supervisor.wait_until(valkey.answers, 30)
    print("up", flush=True)
    supervisor.watch()
"""


class Supervised:
    """A supervisor of the embedded Valkey alone, on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        command = [sys.executable, "-c", SUPERVISOR]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(folder), stdout=log, stderr=log
            )
        wait_for(
            lambda: self.process.poll() is not None or "\nup\n" in f"\n{self.output}",
            "Valkey to be up",
            60,
        )
        assert self.process.poll() is None, self.output
        self.client = redis.Redis(unix_socket_path=str(folder / "valkey.sock"))

    @property
    def output(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        assert self.process.wait(30) == 0


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A data folder whose append-only file has ten keys in its base, and ten more after it."""
    server = Supervised(tmp_path / "data")
    for number in range(10):
        server.client.set(f"base {number}", "x" * 100)
    server.client.bgrewriteaof()
    wait_for(
        lambda: not server.client.info("persistence")["aof_rewrite_in_progress"],
        "the rewrite to end",
    )
    wait_for(lambda: list((server.folder / "appendonlydir").glob("*.base.rdb")), "the base")
    for number in range(10):
        server.client.set(f"later {number}", "x" * 100)
    server.stop()
    return server.folder


def only(folder: Path, pattern: str) -> Path:
    return max((folder / "appendonlydir").glob(pattern))


def zeros_at_the_end(folder: Path) -> None:
    with only(folder, "*.incr.aof").open("ab") as file:
        file.write(b"\0" * 4096)


def an_empty_manifest(folder: Path) -> None:
    only(folder, "*.manifest").write_bytes(b"")


def a_corrupt_middle(folder: Path) -> None:
    file = only(folder, "*.incr.aof")
    content = file.read_bytes()
    file.write_bytes(content[:300] + b"\xff" * 100 + content[400:])


def no_base(folder: Path) -> None:
    only(folder, "*.base.rdb").unlink()


def a_base_of_zeros(folder: Path) -> None:
    file = only(folder, "*.base.rdb")
    file.write_bytes(b"\0" * file.stat().st_size)


def a_file_for_the_folder(folder: Path) -> None:
    (folder / "appendonlydir").rename(folder / "away")
    (folder / "appendonlydir").touch()


DAMAGES = [
    zeros_at_the_end,
    an_empty_manifest,
    a_corrupt_middle,
    no_base,
    a_base_of_zeros,
    a_file_for_the_folder,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_moved_aside_before_a_restart(
    data_folder: Path, damage: Callable[[Path], None]
) -> None:
    earlier = data_folder / "appendonlydir.damaged"
    earlier.mkdir()
    (earlier / "earlier").touch()
    damage(data_folder)
    server = Supervised(data_folder)
    aside = f"can't read its files. They are now in {earlier}; starting it without them"
    assert server.output.count(aside) == 1
    assert "restarting it" not in server.output
    assert server.client.dbsize() == 0
    assert server.client.set("writable", "yes")
    assert not (earlier / "earlier").exists()
    server.stop()


def test_intact_files_are_kept_even_if_the_last_command_is_truncated(data_folder: Path) -> None:
    server = Supervised(data_folder)
    assert server.client.dbsize() == 20
    server.stop()
    file = only(data_folder, "*.incr.aof")
    file.write_bytes(file.read_bytes()[:-10])
    server = Supervised(data_folder)
    assert server.client.dbsize() == 19
    assert not (data_folder / "appendonlydir.damaged").exists()
    server.stop()
