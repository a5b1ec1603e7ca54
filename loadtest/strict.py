"""Measures how many calls are refused by vendors that enforce the limit they declare. Starts its
own service and speaks only HTTP to it.

    .venv/bin/python -m loadtest.strict --calls 5000 --limit 20 --processes 4

Each vendor counts arrivals by four methods at once (harness/vendor/strict.py), after a random delay
of up to 0 or 30 ms, as on a network. The table shows how many calls each method refused, and how
much of the limit was used between the first and the last call.
"""

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import requests

from harness.vendor.strict import JUDGES, StrictVendor
from loadtest.own_service import own_service, say

POSTERS = 4
CHECK_INTERVAL_SECONDS = 1.0
VENDOR = """
[vendors.{slug}]
adapter = "sync"
url = "{url}"
rate_limits = "{limit}/s"
{margin}
"""


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is stopped, too
    vendors = {
        f"jitter-{ms}": StrictVendor(options.limit, jitter_seconds=ms / 1000)
        for ms in options.jitter_ms
    }
    margin = "" if options.margin_ms is None else f"arrival_margin_ms = {options.margin_ms}"
    text = "".join(
        VENDOR.format(slug=slug, url=vendor.url, limit=options.limit, margin=margin)
        for slug, vendor in vendors.items()
    )
    with own_service(text, WORKER_PROCESSES=options.processes) as service:
        with ThreadPoolExecutor(POSTERS) as posters:
            for slug in vendors:
                list(posters.map(post, repeat(service.url), repeat(slug), range(options.calls)))
        while any(len(vendor.allowed) < options.calls for vendor in vendors.values()):
            time.sleep(CHECK_INTERVAL_SECONDS)
    report(vendors, options.limit)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=5000, help="calls of each vendor")
    parser.add_argument("--limit", type=int, default=20, help="calls a second")
    parser.add_argument("--processes", type=int, default=1, help="worker processes")
    parser.add_argument(
        "--margin-ms", type=int, help="the vendors' arrival_margin_ms (default: the service's own)"
    )
    parser.add_argument(
        "--jitter-ms", type=int, nargs="+", default=[0, 30], help="one vendor for each"
    )
    return parser.parse_args()


def post(api: str, slug: str, number: int) -> None:
    job = {"vendor": slug, "name": f"Person {number}"}
    requests.post(f"{api}/jobs", json=job, timeout=30).raise_for_status()


def report(vendors: dict[str, StrictVendor], limit: int) -> None:
    for slug, vendor in vendors.items():
        count, seconds = len(vendor.allowed), vendor.allowed[-1] - vendor.allowed[0]
        used = (count - 1) / seconds / limit
        refusals = ", ".join(f"{name} {vendor.refusals[name]}" for name in JUDGES)
        calls = f"{count} calls in {seconds:.1f} s, {used:.1%} of the limit"
        say(f"{slug}: {calls}; refused: {refusals}")


if __name__ == "__main__":
    main()
