"""A whole service in a temporary folder, with vendors of a load test's own."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from harness.ports import free_port
from harness.running import Server


class OwnService(Server):
    """python -m enrichlabs.server in `folder`, mock vendors included.

    `vendors` is the text of its vendors.toml, in which `{mocks}` becomes the URL of the mock
    vendors. It can be used without an API key, until one is created.
    """

    def __init__(self, folder: Path, vendors: str, **variables: Any) -> None:
        self.mock_port = free_port()
        folder.mkdir()
        file = folder / "vendors.toml"
        file.write_text(
            vendors.replace("{mocks}", f"http://127.0.0.1:{self.mock_port}/mock-vendors")
        )
        named = {"ENRICHLABS_VENDORS": file, "MOCK_VENDORS": 1, "ALLOW_ANONYMOUS": 1}
        ports = {"PORT": free_port(), "MOCK_PORT": self.mock_port}
        super().__init__(folder, **{"LOG_LEVEL": "WARNING", **named, **ports, **variables})
        self.redis = redis.Redis(
            unix_socket_path=str(folder / "valkey.sock"), decode_responses=True, socket_timeout=60
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def own_service(vendors: str, **variables: Any) -> Iterator[OwnService]:
    """Run a service until the block ends, then remove it."""
    with tempfile.TemporaryDirectory(prefix="enrichlabs-loadtest-") as folder:
        service = OwnService(Path(folder) / "data", vendors, **variables)
        try:
            service.wait_until_ready()
            yield service
        finally:
            service.kill()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
