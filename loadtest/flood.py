"""Measures how a client fares beside a flood: 2,000 requests a second of a client that may send 50,
or of API keys that are all wrong and different. Starts its own service, and k6.

    .venv/bin/python -m loadtest.flood --seconds 10

loadtest/README.md explains the table.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import django

from harness.running import ROOT
from loadtest.bench.usage import family, resident_mb
from loadtest.own_service import OwnService, own_service, say

FLOODS = {"alone": "", "above its limit": "limitedKey", "wrong keys": "wrongKeys"}
STATUSES = (202, 401, 429, 503)
LIMIT = "50/s"
WRONG_KEYS = 10_000
CROSSED = 99  # k6's exit status if a threshold is crossed
VENDOR = '[vendors.sync]\nadapter = "sync"\nurl = "{mocks}/sync"\n'
HEADER = f"{'beside':16} {'p50 ms':>8} {'p95 ms':>8}  {'API MB':>7}  {'log lines':>9}  flood"


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with own_service(VENDOR) as service:
        keys = service.folder / "keys.json"
        keys.write_text(json.dumps(create_keys(service.folder)))
        say(HEADER)
        for name, flood in FLOODS.items():
            lines = len(service.output.splitlines())
            metrics = k6(service, keys, flood, options)
            new_lines = len(service.output.splitlines()) - lines
            say(line(name, metrics, api_mb(service), new_lines, options.seconds))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=10, help="length of each of three runs")
    parser.add_argument("--rate", type=int, default=2000, help="requests a second of the flood")
    return parser.parse_args()


def create_keys(folder: Path) -> dict[str, Any]:
    """Create two clients; returns their keys, and keys that nobody has."""
    os.environ.update(DJANGO_SETTINGS_MODULE="enrichlabs.settings", ENRICHLABS_DATA=str(folder))
    django.setup()
    from audit.record import command_line
    from clients import issuing
    from clients.keys import new_key
    from clients.models import Client

    keys: dict[str, Any] = {"wrong": [new_key() for _ in range(WRONG_KEYS)]}
    for slug, limits in (("steady", ""), ("limited", LIMIT)):
        client = Client.objects.create(slug=slug, request_limits=limits)
        fields = {"name": "flood", "scopes": "jobs:submit"}
        keys[slug] = issuing.create(client, command_line(), **fields).text
    return keys


def k6(service: OwnService, keys: Path, flood: str, options: argparse.Namespace) -> Any:
    """Return the metrics of a run."""
    summary = service.folder / "k6.json"
    command = ["script/k6", "run", "--address=", "--quiet", "--summary-export", str(summary)]
    variables = {"BASE_URL": service.url, "KEYS_FILE": str(keys), "FLOOD": flood}
    numbers = {"RATE": str(options.rate), "DURATION": f"{options.seconds}s"}
    ended = subprocess.run(
        [*command, "loadtest/flood.js"],
        cwd=ROOT,
        env={**os.environ, **variables, **numbers},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, CROSSED):
        sys.exit(f"k6 ended with {ended.returncode}: {ended.stderr}")
    return json.loads(summary.read_text())["metrics"]


def api_mb(service: OwnService) -> float:
    """Return the memory of all processes of the API."""
    masters = service.children("enrichlabs.wsgi")
    return sum(resident_mb(pid) for master in masters for pid in family(master))


def line(name: str, metrics: Any, megabytes: float, log_lines: int, seconds: int) -> str:
    duration = metrics["http_req_duration{scenario:steadily}"]
    counts = {status: metrics.get(f"flood_{status}", {}).get("count", 0) for status in STATUSES}
    flood = ", ".join(
        f"{count / seconds:.0f}/s {status}" for status, count in counts.items() if count
    )
    dropped = metrics.get("dropped_iterations", {}).get("count", 0)
    flood += f", {dropped / seconds:.0f}/s not sent" * bool(dropped)
    failed = int(metrics["checks{scenario:steadily}"]["fails"])
    figures = f"{duration['med']:8.1f} {duration['p(95)']:8.1f}  {megabytes:7.0f}  {log_lines:9}"
    return f"{name:16} {figures}  {flood}{f'; {failed} steady requests failed' * bool(failed)}"


if __name__ == "__main__":
    main()
