"""Measures what a vendor that hangs or is down costs its neighbours. Starts its own service and
speaks only HTTP to it.

    .venv/bin/python -m loadtest.neighbours --rounds 2 --seconds 10

Two good vendors get steady work throughout: `quick` 60 jobs a second, `limited` the 20 that its
limit allows, with 60 always waiting. They alternate between being alone and being beside a vendor
with 200 queued jobs that hangs for 30 s per call, refuses connections, or answers 503.
loadtest/README.md explains the table.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from statistics import mean, quantiles
from threading import Event, Thread
from typing import NamedTuple
from urllib.parse import quote

import requests

from harness.ports import free_port
from harness.vendor.scripted import Answer, Arrival, VendorServer
from loadtest.own_service import own_service, say

QUICK_RATE, LIMITED_RATE = 60, 20  # jobs a second
BACKLOG = 60
BAD_JOBS = 200
HANG_SECONDS = 30.0
SETTLE_SECONDS = 3.0
POSTERS = 4
GOOD, KINDS = ("quick", "limited"), ("hangs", "refuses", "503")
VENDORS = """
[vendors.quick]
adapter = "sync"
url = "{mocks}/sync?latency=LATENCY"
[vendors.limited]
adapter = "sync"
url = "{mocks}/sync?latency=LATENCY"
rate_limits = "RATE/s"
"""
BAD_VENDOR = '[vendors.{slug}]\nadapter = "sync"\nurl = "{url}"\ntimeout_seconds = 60\n'
HEADER = "vendor   beside    jobs/s  loss    p50 ms  ratio   p95 ms  ratio   each window, jobs/s"

Done = list[tuple[float, float]]  # when each job was complete, and how long after its POST


@dataclass(frozen=True)
class Window:
    """A stretch of time (Unix seconds), and what ran beside the good vendors in it."""

    beside: str
    since: float
    until: float

    def covers(self, at: float) -> bool:
        return self.since <= at < self.until


class Figures(NamedTuple):
    rates: list[float]  # jobs a second, of each window
    p50_ms: float
    p95_ms: float


class BadVendor(VendorServer):
    """Answers 503 under /503. Every other call hangs until `released` is set."""

    def __init__(self) -> None:
        self.released = Event()
        super().__init__(self._fail_or_hang)

    def _fail_or_hang(self, arrival: Arrival) -> Answer:
        if arrival.path == "/503":
            return Answer(503, {})
        self.released.wait(HANG_SECONDS)
        return Answer(200, {})


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is stopped, too
    bad = BadVendor()
    urls = {
        "hangs": bad.url,
        "refuses": f"http://127.0.0.1:{free_port()}/",
        "503": f"{bad.url}503",
    }
    # A new vendor each time, so that no breaker remembers the last outage.
    slugs = {f"{kind}-{turn}": urls[kind] for turn in range(options.rounds) for kind in KINDS}
    vendors = VENDORS.replace("LATENCY", str(options.latency)).replace("RATE", str(LIMITED_RATE))
    vendors += "".join(BAD_VENDOR.format(slug=slug, url=url) for slug, url in slugs.items())
    with (
        own_service(vendors, WORKER_PROCESSES=options.processes) as service,
        steady_work(service.url),
    ):
        windows = [
            window for slug in slugs for window in measure(service.url, slug, bad, options.seconds)
        ]
        done = {vendor: list(completed(service.url, vendor)) for vendor in GOOD}
    report(windows, done)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="length of a window")
    parser.add_argument(
        "--latency", type=float, default=0.02, help="seconds a good vendor takes per call"
    )
    parser.add_argument("--processes", type=int, default=1, help="worker processes")
    return parser.parse_args()


@contextmanager
def steady_work(api: str) -> Iterator[None]:
    """Post jobs for the good vendors at a steady rate, however slow the service is."""
    ended = Event()
    session = requests.Session()
    for _ in range(BACKLOG):
        post(session, api, "limited")
    plan = [("limited", LIMITED_RATE), *[("quick", QUICK_RATE / POSTERS)] * POSTERS]
    for vendor, rate in plan:
        Thread(target=post_steadily, args=(api, vendor, rate, ended), daemon=True).start()
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
    """Watch the good vendors alone, then beside the vendor `slug`; cancel its jobs at the end."""
    session, kind = requests.Session(), slug.partition("-")[0]
    time.sleep(SETTLE_SECONDS)
    yield window("alone", seconds)
    bad.released.clear()
    ids = [post(session, api, slug) for _ in range(BAD_JOBS)]
    yield window(kind, seconds)
    for job_id in ids:
        session.post(f"{api}/jobs/{job_id}/cancel", timeout=30)
    bad.released.set()


def window(beside: str, seconds: float) -> Window:
    since = time.time()
    time.sleep(seconds)
    return Window(beside, since, time.time())


def completed(api: str, vendor: str) -> Iterator[tuple[float, float]]:
    """Yield for each complete job when it was complete (Unix seconds), and how long it took."""
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


def report(windows: list[Window], done: dict[str, Done]) -> None:
    say(HEADER)
    for vendor in GOOD:
        by_kind = {
            kind: figures_of([each for each in windows if each.beside == kind], done[vendor])
            for kind in ("alone", *KINDS)
        }
        for kind, found in by_kind.items():
            say(line(vendor, kind, found, by_kind["alone"]))


def figures_of(windows: list[Window], done: Done) -> Figures:
    rates = [sum(each.covers(at) for at, _ in done) / (each.until - each.since) for each in windows]
    seconds = [took for at, took in done if any(each.covers(at) for each in windows)]
    cuts = quantiles(seconds, n=20)
    return Figures(rates, cuts[9] * 1000, cuts[18] * 1000)


def line(vendor: str, kind: str, found: Figures, alone: Figures) -> str:
    rate = mean(found.rates)
    loss = 1 - rate / mean(alone.rates)
    p50 = f"{found.p50_ms:8.0f} {found.p50_ms / alone.p50_ms:6.2f}"
    p95 = f"{found.p95_ms:8.0f} {found.p95_ms / alone.p95_ms:6.2f}"
    each = " ".join(f"{rate:.1f}" for rate in found.rates)
    return f"{vendor:8} {kind:8} {rate:7.2f} {loss:6.1%} {p50} {p95}   {each}"


if __name__ == "__main__":
    main()
