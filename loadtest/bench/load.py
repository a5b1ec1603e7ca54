"""The capacity of the whole service as script/server runs it: k6's 200 users, and the highest
steady rate of jobs.

k6 runs on the same machine, so its share of the cores is part of the table.
"""

import json
import os
import resource
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.ports import free_port
from harness.running import ROOT, Server
from loadtest.bench import rows
from loadtest.bench.results import Line, Table
from loadtest.service import open_statuses

CHECK_INTERVAL_SECONDS = 0.2
MAX_SECONDS = 300.0
LOWEST_RATE = 200  # jobs a second, where the search begins
MAX_BACKLOG_SECONDS = 2.0  # a backlog of up to this many seconds' worth does not grow
MARGIN = 0.9
CROSSED = 99  # k6's exit status if a threshold is crossed


@dataclass(frozen=True)
class Run:
    """k6's report of one run."""

    metrics: dict[str, dict[str, float]]
    cpu_seconds: float
    seconds: float

    @property
    def failures(self) -> dict[str, int]:
        """How many requests and checks failed, and how many iterations k6 dropped."""
        dropped = self.metrics.get("dropped_iterations", {}).get("count", 0)
        failed = {
            "requests": self.metrics["http_req_failed"]["passes"],
            "checks": self.metrics["checks"]["fails"],
        }
        return {name: int(count) for name, count in {**failed, "dropped": dropped}.items()}

    def p95_ms(self, name: str) -> float:
        return self.metrics[f"http_req_duration{{name:{name}}}"]["p(95)"]


@dataclass(frozen=True)
class Arrival:
    """The outcome of jobs that arrived at a steady rate."""

    rate: int  # jobs a second
    jobs: int
    failures: dict[str, int]
    open_at_end: int
    p50_ms: float  # from POST to result
    p95_ms: float

    @property
    def is_held(self) -> bool:
        return (
            not any(self.failures.values()) and self.open_at_end <= MAX_BACKLOG_SECONDS * self.rate
        )


def measure(folder: Path, quick: bool) -> Table:
    ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
    server = Server(folder / "data", **ports, LOG_LEVEL="WARNING", ALLOW_ANONYMOUS=1)
    try:
        server.wait_until_ready()
        lines, users = _users(server, 10 if quick else 60)
        rate_lines, rates = _rates(server, *((4, 1, 1) if quick else (20, 3, 2)))
    finally:
        server.kill()
    return Table(
        "The whole service under k6", [*lines, *rate_lines], {"users": users, "rates": rates}
    )


def _users(server: Server, seconds: int) -> tuple[list[Line], dict[str, Any]]:
    run = _k6(server, "script.js", DURATION=f"{seconds}s")
    final_seconds = _wait_until_final(server)
    requests = run.metrics["http_reqs"]
    cpu_ms = run.cpu_seconds * 1000 / requests["count"]
    cpu = f"{run.cpu_seconds / run.seconds:.2f} of a core, {cpu_ms:.2f} ms a request"
    lines = [
        Line(f"200 users for {seconds} s", f"{requests['rate']:.0f} requests/s", aim="1,000"),
        *(
            Line(f"p95 of {name}", f"{run.p95_ms(name):.0f} ms", aim="under 300")
            for name in ("POST /jobs", "GET /jobs/{request_id}")
        ),
        Line(
            "failed", ", ".join(f"{count} {name}" for name, count in run.failures.items()), aim="0"
        ),
        Line("backlog final after", f"{final_seconds:.1f} s", aim="60"),
        Line("k6 itself", cpu),
    ]
    return lines, {**asdict(run), "failures": run.failures, "final_seconds": final_seconds}


def _rates(
    server: Server, seconds: int, bisections: int, attempts: int
) -> tuple[list[Line], dict[str, Any]]:
    arrivals: list[Arrival] = []

    def is_held(rate: int) -> bool:
        for _ in range(attempts):  # other load on the machine may spoil one
            arrivals.append(_arrival(server, rate, seconds))
            if arrivals[-1].is_held:
                return True
        return False

    highest = highest_rate(is_held, bisections)
    below = _arrival(server, max(round(highest * MARGIN), 1), seconds)
    lines = [
        Line("highest steady rate held", f"{highest} jobs/s"),
        Line(
            f"POST to result at {below.rate} jobs/s",
            f"p50 {below.p50_ms:.0f} ms, p95 {below.p95_ms:.0f} ms",
        ),
    ]
    return lines, {
        "highest": highest,
        "below": asdict(below),
        "search": [asdict(arrival) for arrival in arrivals],
    }


def highest_rate(is_held: Callable[[int], bool], bisections: int) -> int:
    """Return the highest rate found to hold, or 0: doubles until one fails, then bisects."""
    held, rate = 0, LOWEST_RATE
    while is_held(rate):
        held, rate = rate, 2 * rate
    for _ in range(bisections):
        middle = (held + rate) // 2
        held, rate = (middle, rate) if is_held(middle) else (held, middle)
    return held


def _arrival(server: Server, rate: int, seconds: int) -> Arrival:
    mark = rows.mark()
    run = _k6(server, "arrival.js", DURATION=f"{seconds}s", RATE=rate)
    _wait_until_final(server)
    times = rows.times_since(server.folder / rows.NAME, mark)
    end = max(job.created for job in times)
    took_ms = [(job.finished - job.created) * 1000 for job in times]
    return Arrival(
        rate=rate,
        jobs=len(times),
        failures=run.failures,
        open_at_end=sum(job.finished > end for job in times),
        p50_ms=rows.percentile(took_ms, 50),
        p95_ms=rows.percentile(took_ms, 95),
    )


def _k6(server: Server, script: str, **variables: Any) -> Run:
    summary = server.folder.with_name("k6.json")
    named = {name: str(value) for name, value in variables.items()}
    options = ["--address=", "--quiet", "--summary-export", str(summary)]
    command = ["script/k6", "run", *options, f"loadtest/{script}"]
    since, cpu_since = time.monotonic(), _children_cpu_seconds()
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "BASE_URL": _url(server), **named},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, cpu_seconds = time.monotonic() - since, _children_cpu_seconds() - cpu_since
    if ended.returncode not in (0, CROSSED):
        raise RuntimeError(f"k6 ended with {ended.returncode}: {ended.stderr}")
    return Run(json.loads(summary.read_text())["metrics"], cpu_seconds, seconds)


def _children_cpu_seconds() -> float:
    """Return the CPU time of all ended child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait_until_final(server: Server) -> float:
    """Wait until no job is open; returns how many seconds that took."""
    since = time.monotonic()
    while open_statuses(_url(server)):
        if time.monotonic() - since > MAX_SECONDS:
            raise TimeoutError(f"jobs are still open after {MAX_SECONDS:.0f} s")
        time.sleep(CHECK_INTERVAL_SECONDS)
    return time.monotonic() - since


def _url(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"
