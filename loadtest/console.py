"""Measures the console on a store with many jobs: how long each page takes, and how large it is.
Prints one line of JSON per page.

    .venv/bin/python -m loadtest.console --jobs 1000000

loadtest/README.md explains the figures.
"""

import argparse
import gzip
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urljoin

from harness.ports import free_port
from harness.running import ROOT, Server, environment
from loadtest.bench.fill import fill_with_mixed
from loadtest.bench.usage import cpu_seconds
from loadtest.move import show

VENDORS = 20
PASSWORD = "correct horse battery staple"  # noqa: S105
TURNS = 15
DAY_MINUTES = 1440
PAGES = 20  # how often "Older" is followed
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
OLDER = re.compile(r'href="([^"]*)"[^>]*>\s*Older')
VENDOR = """
[vendors.{slug}]
adapter = "sync"
url = "http://127.0.0.1:{port}/mock-vendors/sync"
rate_limits = "50/s, 500/min"
max_in_flight = 20
"""


class Operator:
    """A signed-in person's browser, without pictures and scripts."""

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}
        page = self.get("/admin/login/")[1]
        [token] = CSRF.findall(page)
        fields = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Referer": "/admin/"}
        self._request("POST", "/admin/login/?next=/admin/", urlencode(fields), headers).read()
        if self.get("/admin/")[0] != 200:
            sys.exit("The admin could not sign in.")

    def get(self, path: str) -> tuple[int, str]:
        response = self._request("GET", path)
        return response.status, _text(response)

    def seconds(self, path: str) -> float:
        since = time.perf_counter()
        status, _ = self.get(path)
        if status != 200:
            sys.exit(f"GET {path} returned {status}")
        return time.perf_counter() - since

    def _request(
        self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None
    ) -> HTTPResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._http.request(method, path, body, {"Cookie": cookies, **(headers or {})})
        response = self._http.getresponse()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return response


def _text(response: HTTPResponse) -> str:
    body = response.read()
    if response.headers["Content-Encoding"] == "gzip":
        body = gzip.decompress(body)
    return body.decode()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=1_000_000)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with tempfile.TemporaryDirectory(prefix="console-") as name:
        measure(Path(name) / "data", options.jobs)


def measure(folder: Path, count: int) -> None:
    variables = prepare(folder)
    since = time.monotonic()
    fill_with_mixed(folder / "enrichlabs.sqlite3", count, vendors())
    show("fill", jobs=count, seconds=time.monotonic() - since)
    server = Server(folder, **variables)
    try:
        server.wait_until_ready()
        operator = Operator(server.port)
        for label, path in pages(operator):
            show(label, path=path, **figures(operator, path, server))
    finally:
        server.kill()


def prepare(folder: Path) -> dict[str, object]:
    """Create the store with its vendors and one job; return the variables of the server."""
    folder.mkdir()
    file, ports = folder / "vendors.toml", {"PORT": free_port(), "MOCK_PORT": free_port()}
    file.write_text("".join(VENDOR.format(slug=s, port=ports["MOCK_PORT"]) for s in vendors()))
    named = {"ENRICHLABS_VENDORS": file, "MOCK_VENDORS": 1, "ADMIN_PASSWORD": PASSWORD}
    variables: dict[str, object] = {**ports, **named, "LOG_LEVEL": "WARNING"}
    subprocess.run(
        [sys.executable, "-m", "enrichlabs.prepare"],
        cwd=ROOT,
        env=environment(folder, **variables),
        check=True,
    )
    os.environ.update(
        environment(folder, **variables), DJANGO_SETTINGS_MODULE="enrichlabs.settings"
    )
    add_templates()
    return variables


def add_templates() -> None:
    """Add the job and the attempt that all others are copies of, and the history."""
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from jobs.models import Attempt, Job

    job = Job.new(vendor="v1", name="John Doe", input={"name": "John Doe"}, status="complete")
    job.started_at = job.finished_at = timezone.now()
    job.result = {"name": "John Doe", "info": "Processed sync"}
    job.save(force_insert=True)
    at = {"started_at": job.started_at, "ended_at": job.finished_at}
    Attempt.new(
        job=job.pk, vendor="v1", run=1, number=1, worker="host-1", outcome="found", **at
    ).save(force_insert=True)
    add_history()
    connection.close()


def add_history() -> None:
    """Add what each vendor did in each minute of the last day."""
    from jobs.models import Tally
    from jobs.tallies.counts import Counts
    from jobs.tallies.writer import tally

    counts = Counts(accepted=30, done=25, failed=5, waiting=100, oldest_seconds=40.0)
    counts.calls.update(found=25, error=7)
    counts.call_codes.update(vendor_error=4, timeout=3)
    counts.job_codes.update(vendor_error=3, timeout=2)
    for number in range(30):
        counts.call.add(0.1 * number)
        counts.job.add(0.5 * number)
    now = int(time.time() // 60)
    minutes = range(now - DAY_MINUTES, now)
    rows = [tally(slug, minute, "loadtest", counts) for slug in vendors() for minute in minutes]
    Tally.objects.bulk_create(rows, batch_size=1000)


def vendors() -> list[str]:
    return [f"v{number}" for number in range(VENDORS)]


def pages(operator: Operator) -> Iterator[tuple[str, str]]:
    """Yield what to measure."""
    jobs = "/admin/jobs/job/"
    day = datetime.now(UTC) - timedelta(days=5)
    span = urlencode(
        {"created_after": f"{day:%Y-%m-%dT00:00}", "created_before": f"{day:%Y-%m-%dT23:59}"}
    )
    failed = "?status=failed&vendor=v3&error_code=vendor_error"
    job_id = re.findall(r"/admin/jobs/job/([0-9a-f-]{36})/", operator.get(jobs)[1])[0]
    yield "overview", "/admin/"
    yield "overview of a week", "/admin/?range=week"
    yield "jobs", jobs
    for query in ("?status=failed", "?vendor=v3", "?status=failed&vendor=v3", failed):
        yield f"jobs {query}", jobs + query
    yield "jobs of a day", f"{jobs}{failed}&{span}"
    yield "20 x Older", older(operator, jobs + failed)
    yield "jobs of a client", f"{jobs}?client=c2&status=failed"
    yield "jobs without an index", f"{jobs}?error_code=timeout&client=c2&reruns=1"
    yield "by id", f"{jobs}?q={job_id}"
    yield "by name", f"{jobs}?q=Person+42"
    yield "job", f"{jobs}{job_id}/change/"
    yield "plan", f"/admin/bulk/plan/{failed}&kind=retry"
    yield "errors", "/admin/errors/?hours=24"
    yield "audit", "/admin/audit/"


def older(operator: Operator, path: str) -> str:
    for _ in range(PAGES):
        found = OLDER.findall(operator.get(path)[1])
        if not found:
            break
        path = urljoin(path, unescape(found[0]))
    return path


def figures(operator: Operator, path: str, server: Server) -> dict[str, float]:
    first, used = operator.seconds(path), api_cpu_seconds(server)
    times = sorted(operator.seconds(path) for _ in range(TURNS))
    return {
        "cpu_ms": (api_cpu_seconds(server) - used) / TURNS * 1000,
        "first_ms": first * 1000,
        "median_ms": statistics.median(times) * 1000,
        "max_ms": times[-1] * 1000,
        "kb": len(operator.get(path)[1].encode()) / 1000,
    }


def api_cpu_seconds(server: Server) -> float:
    return sum(cpu_seconds(pid) for pid in server.api_processes()[1])


if __name__ == "__main__":
    main()
