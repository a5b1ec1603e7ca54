"""Measures how a vendor's rate limit is used and kept, at the pretend vendor's own ledger; talks HTTP only.

Against a running service with a vendor limited to 20/s (loadtest/README.md says how):

    .venv/bin/python loadtest/limit.py --vendor limited --jobs 300
"""

import argparse
import sys
import time

import requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--api", default="http://127.0.0.1:8000")
    parser.add_argument("--mocks", default="http://127.0.0.1:8001")
    parser.add_argument("--vendor", default="limited")
    parser.add_argument("--jobs", type=int, default=300)
    options = parser.parse_args()
    ledger = f"{options.mocks}/mock-vendors/ledger"
    session = requests.Session()
    ids = {post(session, options.api, options.vendor) for _ in range(options.jobs)}
    times = wait_for_arrivals(session, ledger, ids)
    rate = (len(times) - 1) / (times[-1] - times[0])
    worst, after = worst_second(times)
    sys.stdout.write(f"{len(times)} calls, {rate:.2f}/s, at most {worst} in any second ({after:.1f} s after the first)\n")


def post(session: requests.Session, api: str, vendor: str) -> str:
    answer = session.post(f"{api}/jobs", json={"vendor": vendor, "name": "John Doe"}, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["request_id"])


def wait_for_arrivals(session: requests.Session, ledger: str, ids: set[str], seconds: float = 300) -> list[float]:
    """Return when the calls for the jobs arrived, in unix seconds; gives up after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        arrivals = session.get(ledger, timeout=10).json()["arrivals"]
        times = sorted(arrival["at"] for arrival in arrivals if arrival["idempotency_key"] in ids)
        if len(times) >= len(ids):
            return times
        time.sleep(1)
    sys.exit(f"only {len(times)} of {len(ids)} calls arrived within {seconds:.0f} s")


def worst_second(times: list[float]) -> tuple[int, float]:
    """Return the most arrivals in any second, wherever it begins, and how long after the first one that second ended."""
    worst, worst_at, first = 0, times[0], 0
    for last, at in enumerate(times):
        while at - times[first] >= 1:
            first += 1
        if last - first + 1 > worst:
            worst, worst_at = last - first + 1, at
    return worst, worst_at - times[0]


if __name__ == "__main__":
    main()
