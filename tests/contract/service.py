"""The service under test: gunicorn, a worker, Valkey and the mock vendors, on free ports, in a
temporary folder; and its API keys.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

from clients.scopes import Scope
from harness.ports import free_port
from harness.running import ROOT, Server, environment

VENDORS = Path(__file__).with_name("vendors.toml")


@dataclass
class Service:
    url: str
    folder: Path
    environment: dict[str, str]

    def create_key(self, client: str, scopes: Sequence[Scope]) -> str:
        """Return a new API key of the client, which may be new too."""
        named = f"--scopes={','.join(scopes)}"
        return self._manage("api_key", "create", "--new-client", f"--client={client}", named)

    def limit_requests(self, client: str, limits: str) -> None:
        change = f"Client.objects.filter(slug={client!r}).update(request_limits={limits!r})"
        self._manage("shell", "--command", f"from clients.models import Client; {change}")

    def _manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def schema(self) -> dict[str, Any]:
        return self._ask("/schema?format=json")

    def cursor(self, key: str) -> str:
        """Post two jobs, and return the cursor of the page after the first."""
        for _ in range(2):
            self._ask("/jobs", key, {"vendor": "sync", "name": "John Doe"})
        page = self._ask("/jobs?limit=1", key)
        return parse_qs(urlsplit(page["next"]).query)["cursor"][0]

    def _ask(self, path: str, key: str = "", body: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        data = json.dumps(body).encode() if body else None
        request = Request(self.url + path, data, {**headers, "Content-Type": "application/json"})
        with urlopen(request, timeout=10) as response:
            document: dict[str, Any] = json.load(response)
        return document


@contextmanager
def running() -> Iterator[Service]:
    """Run the service. Its output is printed if the block fails."""
    with TemporaryDirectory(prefix="enrichlabs-contract-") as name:
        port, mock_port = free_port(), free_port()
        vendors = Path(name, "vendors.toml")
        mocks = f"http://127.0.0.1:{mock_port}/mock-vendors"
        vendors.write_text(VENDORS.read_text().replace("MOCKS", mocks))
        variables = {
            "PORT": port,
            "MOCK_PORT": mock_port,
            "MOCK_VENDORS": 1,
            "ENRICHLABS_VENDORS": vendors,
        }
        folder = Path(name, "data")
        server = Server(folder, **variables)
        try:
            server.wait_until_ready()
            yield Service(
                f"http://127.0.0.1:{port}",
                folder,
                environment(folder, **variables),
            )
        except BaseException:
            sys.stderr.write(server.output[-5000:])
            raise
        finally:
            server.stop()
