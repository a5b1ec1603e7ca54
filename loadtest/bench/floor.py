"""The cost of a vendor call alone: `requests` posting as fast as it can, and nothing else."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests

from loadtest.bench.apart import apart
from loadtest.bench.progress import Pace

START_SECONDS = 2.0  # for all processes to start
WARM_UP = 20


def floor(url: str, *, processes: int, seconds: float) -> Pace:
    """Return the pace of several processes, each with one thread and one connection."""
    from_at = time.monotonic() + START_SECONDS
    with ThreadPoolExecutor(processes) as threads:
        paces = list(threads.map(lambda _: apart(_post, url, from_at, seconds), range(processes)))
    calls_per_second = sum(pace.jobs_per_second for pace in paces)
    return Pace(
        calls_per_second,
        {"caller": sum(pace.cpu_ms_per_job["caller"] for pace in paces) / processes},
    )


def _post(url: str, from_at: float, seconds: float) -> Pace:
    session = requests.Session()
    for _ in range(WARM_UP):
        _call(session, url)
    time.sleep(max(0.0, from_at - time.monotonic()))
    since, cpu_since, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() < since + seconds:
        _call(session, url)
        count += 1
    cpu_ms = (time.process_time() - cpu_since) * 1000 / count
    return Pace(count / (time.monotonic() - since), {"caller": cpu_ms})


def _call(session: requests.Session, url: str) -> None:
    session.post(url, json={"name": "John Doe"}, timeout=30).json()
