"""The system under test, spread over hosts: each part on one of its own, and nothing shared but
Redis and MongoDB.
"""

import sys
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from chaos.network import Host, Network
from chaos.process import Part
from chaos.system import MANAGE, WORKERS, System
from chaos.vendors import WEBHOOK_SECRET, WEBHOOK_SECRET_ENV

PORT = 8000
REDIS_PORT, STORE_PORT = 6379, 27017
SECRET = "made up for the campaign, and the same on all hosts"  # noqa: S105
# By how much the clocks of the worker hosts are wrong, in seconds.
CLOCKS = (0, 5, -5)


class Spread(System):
    """Two hosts for the API, two for callbacks, three for workers; one each for Redis, the store
    and the vendors.
    """

    def _build(self) -> None:
        self.network = Network()
        self.proxies = []
        self.store_host, self.redis_host, self.vendor_host = map(
            self.network.add, ("store", "redis", "vendors")
        )
        self.redis_address = (self.redis_host.address, REDIS_PORT)
        self.vendor_address = (self.vendor_host.address, PORT)
        self.api_hosts = [self.network.add(f"api-{n}") for n in (1, 2)]
        self.webhooks_hosts = [self.network.add(f"webhooks-{n}") for n in (1, 2)]
        self.worker_hosts = [self.network.add(f"worker-{n + 1}") for n in range(WORKERS)]
        self.store_part = self._on(
            self.store_host, self._part("store", self._store_command(), self._store_answers)
        )
        self.redis = self._on(self.redis_host, self._redis())
        self.vendor = self._on(self.vendor_host, self._vendor())
        self.doors = [self._door("api", host) for host in self.api_hosts]
        self.doors += [self._door("webhooks", host) for host in self.webhooks_hosts]
        self.workers = [self._worker(host, n) for n, host in enumerate(self.worker_hosts)]

    @property
    def parts(self) -> list[Part]:
        return [self.redis, self.vendor, *self.doors, *self.workers]

    @property
    def api_urls(self) -> list[str]:
        return [f"http://{host.address}:{PORT}" for host in self.api_hosts]

    @property
    def vendor_url(self) -> str:
        return f"http://{self.vendor_host.address}:{PORT}"

    @property
    def database_url(self) -> str:
        return f"mongodb://{self.store_host.address}:{STORE_PORT}/enrichlabs?replicaSet=secantus&w=majority"

    def environment(self) -> dict[str, str]:
        return {
            "ENRICHLABS_DATA": str(self.data / "clients"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": f"redis://{self.redis_host.address}:{REDIS_PORT}",
            "SECRET_KEY": SECRET,
            "CALLBACK_SECRETS": SECRET,
            "PUBLIC_URL": f"http://{self.webhooks_hosts[0].address}:{PORT}",
            "ALLOWED_HOSTS": "*",
            WEBHOOK_SECRET_ENV: WEBHOOK_SECRET,
        }

    def start_store(self) -> None:
        """The store comes first, for its tables are made before anything else starts."""
        self.store_part.start()
        self.store_part.wait_until_ready()

    def stop(self) -> None:
        super().stop()
        self.store_part.kill()

    def worker_on(self, host: Host) -> Part:
        return self.workers[self.worker_hosts.index(host)]

    def _on(self, host: Host, part: Part) -> Part:
        part.command = host.command(part.command)
        return part

    def _door(self, door: str, host: Host) -> Part:
        data = {"ENRICHLABS_DATA": str(self.data / host.name), "GUNICORN_CMD_ARGS": "--workers 1"}
        return self._on(host, self._web(host.name, door, (host.address, PORT), **data))

    def _worker(self, host: Host, number: int) -> Part:
        """Vendors call back to one host or the other, as the worker says that has called them."""
        webhooks = self.webhooks_hosts[number % len(self.webhooks_hosts)]
        own = {
            "ENRICHLABS_DATA": str(self.data / host.name),
            "PUBLIC_URL": f"http://{webhooks.address}:{PORT}",
        }
        clock = CLOCKS[number]
        command = self._worker_command(["-m", "chaos.skewed", str(clock)] if clock else [MANAGE])
        return self._on(host, self._part(host.name, command, environment=own))

    def _store_command(self) -> list[str]:
        server = Path(sys.executable).with_name("secantusd-py")
        where = [
            "--host",
            self.store_host.address,
            "--port",
            str(STORE_PORT),
            "--storage-path",
            str(self.data / "store"),
        ]
        return [str(server), *where, "--log-level", "ERROR"]

    def _store_answers(self) -> bool:
        client: pymongo.MongoClient[dict[str, Any]]
        with pymongo.MongoClient(self.database_url, serverSelectionTimeoutMS=500) as client:
            try:
                return bool(client.admin.command("ping"))
            except PyMongoError:
                return False
