"""The embedded Valkey: it starts on whatever a power cut has left of its files, and keeps them
where they are sound.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from harness.running import ROOT, environment
from harness.waiting import wait_for

SUPERVISOR = """
from enrichlabs.standalone import preflight as obstacles, valkey
from enrichlabs.standalone.children import Children
obstacles.load_settings()
with obstacles.the_data_folder() as lock, Children() as children:
    children.start(valkey.child(lock.fileno()))
    children.wait_until(valkey.answers, 30, lambda: "It does not answer.")
    print("up", flush=True)
    children.watch()
"""


class Supervised:
    """A supervisor of the embedded Valkey alone, on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        command = [sys.executable, "-c", SUPERVISOR]
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment(folder), stdout=output, stderr=output
            )
        wait_for(
            lambda: self.process.poll() is not None or "\nup\n" in f"\n{self.said}",
            "Valkey to be up",
            60,
        )
        assert self.process.poll() is None, self.said
        self.client = redis.Redis(unix_socket_path=str(folder / "valkey.sock"))

    @property
    def said(self) -> str:
        return self.log.read_text()

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        assert self.process.wait(30) == 0


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A data folder in whose append-only file are a base, ten keys, and ten more after it."""
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


def a_spoiled_middle(folder: Path) -> None:
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
    a_spoiled_middle,
    no_base,
    a_base_of_zeros,
    a_file_for_the_folder,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_moved_aside_and_it_starts(
    kept: Path, damage: Callable[[Path], None]
) -> None:
    earlier = kept / "appendonlydir.damaged"
    earlier.mkdir()
    (earlier / "of an earlier time").touch()
    damage(kept)
    server = Supervised(kept)
    aside = f"could not be started on its files, which are now in {earlier}. It starts without them"
    assert server.said.count(aside) == 1
    assert "it is started again" not in server.said
    assert server.client.dbsize() == 0
    assert server.client.set("writable", "yes")
    assert not (earlier / "of an earlier time").exists()
    server.stop()


def test_sound_files_are_kept_also_when_the_last_command_was_cut_off(kept: Path) -> None:
    server = Supervised(kept)
    assert server.client.dbsize() == 20
    server.stop()
    file = only(kept, "*.incr.aof")
    file.write_bytes(file.read_bytes()[:-10])
    server = Supervised(kept)
    assert server.client.dbsize() == 19
    assert not (kept / "appendonlydir.damaged").exists()
    server.stop()
