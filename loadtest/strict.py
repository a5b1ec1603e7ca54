"""Measures what vendors that enforce the very limit they were given refuse, on a service of its
own; talks HTTP only.

.venv/bin/python -m loadtest.strict --calls 5000 --limit 20 --processes 4

Each vendor counts arrivals in four ways at once (harness/strict_vendor.py) and delays them by up to
0 or 30 ms, as a network does. The table says how many calls each refused, and how much of the limit
was used between its first and its last call.
"""

import argparse
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import requests

from harness.ports import free_port
from harness.strict_vendor import JUDGES, StrictVendor
from loadtest.neighbours import service

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
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(1)
    )  # so that the service is stopped, too
    vendors = {
        f"jitter-{ms}": StrictVendor(options.limit, jitter_seconds=ms / 1000)
        for ms in options.jitter_ms
    }
    margin = "" if options.margin_ms is None else f"arrival_margin_ms = {options.margin_ms}"
    text = "".join(
        VENDOR.format(slug=slug, url=vendor.url, limit=options.limit, margin=margin)
        for slug, vendor in vendors.items()
    )
    with service(free_port(), free_port(), text, options.processes) as api:
        with ThreadPoolExecutor(POSTERS) as posters:
            for slug in vendors:
                list(posters.map(post, repeat(api), repeat(slug), range(options.calls)))
        while any(len(vendor.arrivals) < options.calls for vendor in vendors.values()):
            time.sleep(CHECK_INTERVAL_SECONDS)
    report(vendors, options.limit)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=5000, help="of each vendor")
    parser.add_argument("--limit", type=int, default=20, help="calls a second")
    parser.add_argument("--processes", type=int, default=1, help="worker processes")
    parser.add_argument(
        "--margin-ms",
        type=int,
        help="the vendors' arrival_margin_ms (default: that of the service)",
    )
    parser.add_argument(
        "--jitter-ms", type=int, nargs="+", default=[0, 30], help="one vendor for each"
    )
    return parser.parse_args()


def post(api: str, slug: str, number: int) -> None:
    answer = requests.post(
        f"{api}/jobs", json={"vendor": slug, "name": f"Person {number}"}, timeout=30
    )
    answer.raise_for_status()


def report(vendors: dict[str, StrictVendor], limit: int) -> None:
    for slug, vendor in vendors.items():
        seconds = vendor.arrivals[-1] - vendor.arrivals[0]
        used = (len(vendor.arrivals) - 1) / seconds / limit
        refusals = ", ".join(f"{name} {vendor.refusals[name]}" for name in JUDGES)
        calls = f"{len(vendor.arrivals)} calls in {seconds:.1f} s, {100 * used:.1f} % of the limit"
        sys.stdout.write(f"{slug}: {calls}; refused: {refusals}\n")


if __name__ == "__main__":
    main()
