"""The system under test on several hosts: one part each, with nothing shared but Redis and
MongoDB.
"""

from chaos.network import Host, Network
from chaos.process import Part
from chaos.system import MANAGE, WORKERS, System
from chaos.vendors import SECRETS
from harness import mongodb

PORT = 8000
REDIS_PORT, STORE_PORT = 6379, 27017
SECRET = "shared by all hosts of the campaign"  # noqa: S105
# The clock errors of the worker hosts, in seconds.
CLOCKS = (0, 5, -5)


class Spread(System):
    """Two hosts for the API, two for callbacks, three for workers, one each for Redis, the store
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
        self.endpoints = [self._endpoint("api", host) for host in self.api_hosts]
        self.endpoints += [self._endpoint("webhooks", host) for host in self.webhooks_hosts]
        self.workers = [self._worker(host, n) for n, host in enumerate(self.worker_hosts)]

    @property
    def parts(self) -> list[Part]:
        return [self.redis, self.vendor, *self.endpoints, *self.workers]

    @property
    def api_urls(self) -> list[str]:
        return [f"http://{host.address}:{PORT}" for host in self.api_hosts]

    @property
    def vendor_url(self) -> str:
        return f"http://{self.vendor_host.address}:{PORT}"

    @property
    def database_url(self) -> str:
        options = "replicaSet=secantus&w=majority"
        return f"mongodb://{self.store_host.address}:{STORE_PORT}/enrichlabs?{options}"

    def environment(self) -> dict[str, str]:
        return {
            "ENRICHLABS_DATA": str(self.data / "clients"),
            "DATABASE_URL": self.database_url,
            "REDIS_URL": f"redis://{self.redis_host.address}:{REDIS_PORT}",
            "SECRET_KEY": SECRET,
            "CALLBACK_SECRETS": SECRET,
            "PUBLIC_URL": f"http://{self.webhooks_hosts[0].address}:{PORT}",
            "ALLOWED_HOSTS": "*",
            **SECRETS,
        }

    def start_store(self) -> None:
        """Start the store first: its tables are created before anything else starts."""
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

    def _endpoint(self, name: str, host: Host) -> Part:
        data = {"ENRICHLABS_DATA": str(self.data / host.name), "GUNICORN_CMD_ARGS": "--workers 1"}
        return self._on(host, self._web(host.name, name, (host.address, PORT), **data))

    def _worker(self, host: Host, number: int) -> Part:
        """Vendors call back to the receiver whose URL their worker gave them."""
        webhooks = self.webhooks_hosts[number % len(self.webhooks_hosts)]
        own = {
            "ENRICHLABS_DATA": str(self.data / host.name),
            "PUBLIC_URL": f"http://{webhooks.address}:{PORT}",
        }
        clock = CLOCKS[number]
        command = self._worker_command(["-m", "chaos.skewed", str(clock)] if clock else MANAGE)
        return self._on(host, self._part(host.name, command, environment=own))

    def _store_command(self) -> list[str]:
        return mongodb.secantusdb_command(
            STORE_PORT, self.data / "store", host=self.store_host.address
        )

    def _store_answers(self) -> bool:
        return mongodb.answers(self.database_url)
