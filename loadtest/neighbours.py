"""Measures what a vendor that hangs or is down costs its neighbours, on a service of its own; talks
HTTP only.

.venv/bin/python -m loadtest.neighbours --rounds 2 --seconds 10

Two good vendors get steady work all the while: `quick` 60 jobs a second, `limited` the 20 that it
may do, with 60 always waiting. By turns they are alone and beside a vendor with 200 jobs queued
that hangs for 30 s a call, refuses connections, or answers 503. loadtest/README.md says how to read
the table.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import mean, quantiles
from threading import Event, Thread
from urllib.parse import quote

import requests

from harness.ports import free_port

QUICK_RATE, LIMITED_RATE = 60, 20  # jobs a second
BACKLOG = 60
BAD_JOBS = 200
HANG_SECONDS = 30.0
SETTLE_SECONDS = 3.0
READY_SECONDS = 60.0
POSTERS = 4
GOOD, KINDS = ("quick", "limited"), ("hangs", "refuses", "503")
VENDORS = """
[vendors.quick]
adapter = "sync"
url = "http://127.0.0.1:{mocks}/mock-vendors/sync?latency={latency}"
[vendors.limited]
adapter = "sync"
url = "http://127.0.0.1:{mocks}/mock-vendors/sync?latency={latency}"
rate_limits = "{rate}/s"
"""
BAD_VENDOR = '[vendors.{slug}]\nadapter = "sync"\nurl = "{url}"\ntimeout_seconds = 60\n'


@dataclass(frozen=True)
class Window:
    """One stretch of time, in unix seconds, with what was beside the good vendors in it."""

    beside: str
    since: float
    until: float


class BadVendor(ThreadingHTTPServer):
    """Answers 503 under /503; everything else hangs, until it is let go."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.let_go = Event()
        Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BadVendor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 503 if self.path == "/503" else 200
        if status == 200:
            self.server.let_go.wait(HANG_SECONDS)
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Nothing to tell."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="of each window")
    parser.add_argument(
        "--latency", type=float, default=0.02, help="seconds that the good vendors take for a call"
    )
    parser.add_argument("--processes", type=int, default=1, help="worker processes")
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(1)
    )  # so that the service is stopped, too
    bad, refusing, port, mocks = BadVendor(), free_port(), free_port(), free_port()
    urls = {
        "hangs": f"http://127.0.0.1:{bad.server_port}/",
        "refuses": f"http://127.0.0.1:{refusing}/",
    }
    urls["503"] = f"{urls['hangs']}503"
    # A fresh vendor each time: no breaker remembers the last outage.
    slugs = {f"{kind}-{turn}": urls[kind] for turn in range(options.rounds) for kind in KINDS}
    vendors = VENDORS.format(mocks=mocks, rate=LIMITED_RATE, latency=options.latency)
    vendors += "".join(BAD_VENDOR.format(slug=slug, url=url) for slug, url in slugs.items())
    with service(port, mocks, vendors, options.processes) as api, steady_work(api):
        windows = [window for slug in slugs for window in measure(api, slug, bad, options.seconds)]
        done = {vendor: list(completed(api, vendor)) for vendor in GOOD}
    report(windows, done)


@contextmanager
def service(port: int, mocks: int, vendors: str, processes: int) -> Iterator[str]:
    """Run the whole service in a folder that goes with it; gives its address."""
    api = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="enrichlabs-neighbours-") as folder:
        (Path(folder) / "vendors.toml").write_text(vendors)
        unset = ("DATABASE_URL", "REDIS_URL", "SERVES", "PUBLIC_URL", "HOST", "ALLOWED_HOSTS")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment |= {
            "ENRICHLABS_DATA": folder,
            "ENRICHLABS_VENDORS": f"{folder}/vendors.toml",
            "MOCK_VENDORS": "1",
        }
        environment |= {
            "PORT": str(port),
            "MOCK_PORT": str(mocks),
            "WORKER_PROCESSES": str(processes),
        }
        with (Path(folder) / "log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "enrichlabs.server"], env=environment, stdout=log, stderr=log
            )
        try:
            wait_until_ready(api, server)
            yield api
        finally:
            server.terminate()
            server.wait(60)


def wait_until_ready(api: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            if requests.get(f"{api}/readyz", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    sys.exit("the service is not ready")


@contextmanager
def steady_work(api: str) -> Iterator[None]:
    """Post jobs for the good vendors at a steady rate, however slow the service is."""
    ended = Event()
    session = requests.Session()
    for _ in range(BACKLOG):
        post(session, api, "limited")
    plan = [("limited", LIMITED_RATE), *[("quick", QUICK_RATE / POSTERS)] * POSTERS]
    threads = [
        Thread(target=post_steadily, args=(api, vendor, rate, ended), daemon=True)
        for vendor, rate in plan
    ]
    for thread in threads:
        thread.start()
        time.sleep(1 / QUICK_RATE)
    try:
        yield
    finally:
        ended.set()


def post_steadily(api: str, vendor: str, rate: float, ended: Event) -> None:
    session, due = requests.Session(), time.monotonic()
    while not ended.wait(max(0.0, due - time.monotonic())):
        post(session, api, vendor)
        due += 1 / rate


def post(session: requests.Session, api: str, vendor: str) -> str:
    answer = session.post(f"{api}/jobs", json={"vendor": vendor, "name": "John Doe"}, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["request_id"])


def measure(api: str, slug: str, bad: BadVendor, seconds: float) -> Iterator[Window]:
    """Let the good vendors be alone for a while, then beside the one named `slug`, whose jobs are
    cleared away at the end.
    """
    session, kind = requests.Session(), slug.partition("-")[0]
    time.sleep(SETTLE_SECONDS)
    yield window("alone", seconds)
    bad.let_go.clear()
    ids = [post(session, api, slug) for _ in range(BAD_JOBS)]
    yield window(kind, seconds)
    for job_id in ids:
        session.post(f"{api}/jobs/{job_id}/cancel", timeout=30)
    bad.let_go.set()


def window(beside: str, seconds: float) -> Window:
    since = time.time()
    time.sleep(seconds)
    return Window(beside, since, time.time())


def completed(api: str, vendor: str) -> Iterator[tuple[float, float]]:
    """Yield when each job of the vendor was complete, in unix seconds, and how long after it was
    posted.
    """
    session, page = requests.Session(), f"/jobs?vendor={quote(vendor)}&status=complete&limit=100"
    while page:
        answer = session.get(f"{api}{page}", timeout=30).json()
        for job in answer["items"]:
            created, finished = (
                datetime.fromisoformat(job[name]).timestamp()
                for name in ("created_at", "finished_at")
            )
            yield finished, finished - created
        page = answer["next"]


def report(windows: list[Window], done: dict[str, list[tuple[float, float]]]) -> None:
    sys.stdout.write(
        "vendor   beside    jobs/s  loss    p50 ms  ratio   p95 ms  ratio   each window, jobs/s\n"
    )
    for vendor in GOOD:
        alone: tuple[float, float, float] | None = None
        for beside in ("alone", *KINDS):
            chosen = [one for one in windows if one.beside == beside]
            rates = [
                sum(one.since <= at < one.until for at, _ in done[vendor]) / (one.until - one.since)
                for one in chosen
            ]
            waits = [
                wait
                for at, wait in done[vendor]
                if any(one.since <= at < one.until for one in chosen)
            ]
            cuts = quantiles(waits, n=20)
            figures = mean(rates), cuts[9] * 1000, cuts[18] * 1000
            alone = alone or figures
            loss, p50, p95 = 1 - figures[0] / alone[0], figures[1] / alone[1], figures[2] / alone[2]
            each = " ".join(f"{rate:.1f}" for rate in rates)
            sys.stdout.write(
                f"{vendor:8} {beside:8} {figures[0]:7.2f} {loss:6.1%} {figures[1]:8.0f} {p50:6.2f} {figures[2]:8.0f} "
                f"{p95:6.2f}   {each}\n"
            )


if __name__ == "__main__":
    main()
