"""Measures how a vendor's rate limit is used and kept while more is asked for than it allows.

Against a running service with a vendor limited to 20/s (loadtest/README.md says how), at the pretend vendor's own ledger:

    .venv/bin/python loadtest/limit.py --vendor limited --limits 20/s

With --store, the path of the service's SQLite file, also at the limiter: the starts in the attempts.
"""

import argparse
import re
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from threading import local

import requests

UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400}
CLIENTS = 8
POSTS = 500  # between two looks at how many are left
MARGIN_SECONDS = 3.0  # between the last post and the time measured
of_thread = local()


def main() -> None:
    options = read_options()
    windows = read_limits(options.limits)
    permitted = min(most_in(window, options.seconds) for window in windows)
    ledger = f"{options.mocks}/mock-vendors/ledger"
    ids: set[str] = set()
    began = time.time()
    while len(ids) - len(arrivals(ledger, ids)) < 1.2 * permitted + 50:
        ids |= post_some(options.api, options.vendor)
    since = time.time() + MARGIN_SECONDS
    time.sleep(MARGIN_SECONDS + options.seconds + 1)
    times = arrivals(ledger, ids)
    if len(times) == len(ids):
        sys.exit("All jobs were called before the time was over: the vendor was called faster than its limit.")
    used = [at for at in times if since <= at < since + options.seconds]
    say(f"in {options.seconds} s: {len(used)} of {permitted:.0f} calls, {100 * len(used) / permitted:.1f} % of the limit")
    say(f"longest pause: {max((later - earlier for earlier, later in pairwise(used)), default=0):.2f} s")
    tell("ledger", times, windows)
    if options.store:
        tell("limiter", starts_in(options.store, options.vendor, began), windows)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api", default="http://127.0.0.1:8000")
    parser.add_argument("--mocks", default="http://127.0.0.1:8001")
    parser.add_argument("--vendor", default="limited")
    parser.add_argument("--limits", default="20/s", help="the vendor's own")
    parser.add_argument("--seconds", type=int, default=60, help="how long is measured")
    parser.add_argument("--store", help="the service's enrichlabs.sqlite3, for the starts that the limiter permitted")
    return parser.parse_args()


def read_limits(text: str) -> list[tuple[int, int]]:
    """Return calls and seconds of each window."""
    parts = re.findall(r"(\d+)\s*/\s*(\d*)\s*(s|min|h|day)\b", text)
    return [(int(calls), int(number or 1) * UNITS[unit]) for calls, number, unit in parts]


def most_in(window: tuple[int, int], seconds: float) -> float:
    """Return how many calls a window permits on the average in that time, but no fewer than it permits at once."""
    calls, length = window
    return calls * max(1.0, seconds / length)


def arrivals(ledger: str, ids: set[str]) -> list[float]:
    """Return when the calls for the jobs arrived, in unix seconds."""
    found = requests.get(ledger, timeout=30).json()["arrivals"]
    return sorted(arrival["at"] for arrival in found if arrival["idempotency_key"] in ids)


def post_some(api: str, vendor: str) -> set[str]:
    with ThreadPoolExecutor(CLIENTS) as clients:
        return set(clients.map(lambda _: post(api, vendor), range(POSTS)))


def post(api: str, vendor: str) -> str:
    if not hasattr(of_thread, "session"):
        of_thread.session = requests.Session()
    answer = of_thread.session.post(f"{api}/jobs", json={"vendor": vendor, "name": "John Doe"}, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["request_id"])


def starts_in(store: str, vendor: str, since: float) -> list[float]:
    """Return when the limiter permitted the vendor's calls, in unix seconds: those of the attempts that have ended."""
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT started_at FROM jobs_attempt WHERE vendor = ?", [vendor]).fetchall()
    times = sorted(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() for (at,) in rows)
    return [at for at in times if at >= since]


def tell(place: str, times: list[float], windows: list[tuple[int, int]]) -> None:
    counts = ", ".join(f"{worst(times, length)} in {length} s (limit {calls})" for calls, length in windows)
    say(f"{place}: at most {counts}")


def worst(times: list[float], seconds: float) -> int:
    """Return the most of the times that lie in any window of that length, wherever it begins."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
