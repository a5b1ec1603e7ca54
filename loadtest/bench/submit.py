"""Posting and showing jobs, compared with views that do the same work and check nothing.

200 users load one gunicorn after the other: ours, and that of loadtest.bench.bare. Each has its own
SQLite (synchronous FULL); both use one append-only Valkey. No worker runs. Our requests have an API
key; the contender "with everything" also has an Idempotency-Key and a request limit in force. A
ratio is the median of the ratios of all rounds.
"""

import os
import sqlite3
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from loadtest.bench import usage
from loadtest.bench.bare.serving import bare
from loadtest.bench.results import Line, Table
from loadtest.bench.service import service
from loadtest.bench.users import Plan, measured

VENDORS = """
[vendors.sync]
adapter = "sync"
url = "http://127.0.0.1:9/"
"""
BODY = '{"vendor": "sync", "name": "John Doe"}'
JOBS_SHOWN = 1000
COMPLETE = """UPDATE {table} SET status = 'complete', result = '{{"name":"John Doe","info":"Processed sync"}}', attempt = 1,
    started_at = created_at, finished_at = created_at WHERE rowid <= {count} RETURNING {key}"""  # noqa: E501

OURS, BARE = "EnrichLabs", "bare Django view"
EVERYTHING = "EnrichLabs with everything"
NAIVE, EMPTY = "naive REST framework view", "Django view that does nothing"
AIMS = {("POST", BARE): 1.2, ("GET", BARE): 1.0, ("POST", EVERYTHING): 0.9}
REQUEST_LIMITS = "5000/s, 100000/min"  # refuse nothing, but count each request

Rounds = list[dict[str, dict[str, float]]]  # the figures of each contender, by its name


def measure(folder: Path, quick: bool) -> Table:
    rounds, seconds = (2, 1.0) if quick else (7, 4.0)
    redis_socket = folder / "ours" / "valkey.sock"
    with (
        service(folder / "ours", VENDORS) as ours,
        ours.api() as our_port,
        bare(folder / "bare", redis_socket) as bare_port,
    ):

        def plan(port: int, paths: Sequence[str], status: int, body: str = "") -> Plan:
            return Plan(port, server_pid(port), paths, status, body, seconds=seconds)

        key, limited_key = api_key("unlimited"), api_key("limited", REQUEST_LIMITS)
        ours_posting = replace(plan(our_port, ["/jobs"], 202, BODY), api_key=key)
        posting = {
            OURS: ours_posting,
            EVERYTHING: replace(ours_posting, api_key=limited_key, repeatable=True),
            BARE: plan(bare_port, ["/jobs"], 202, BODY),
            NAIVE: plan(bare_port, ["/naive"], 202, BODY),
            EMPTY: plan(bare_port, ["/empty"], 204, BODY),
        }
        posts = _in_turn(rounds, posting)
        our_jobs = _complete(folder / "ours", "jobs_job", "_id")
        bare_jobs = _complete(folder / "bare", "bare_job", "id")
        showing = {
            OURS: replace(plan(our_port, our_jobs, 200), api_key=key),
            BARE: plan(bare_port, bare_jobs, 200),
        }
        shows = _in_turn(rounds, showing)
    title = "Requests per second of 200 users, gunicorn with 2 processes"
    lines = [*_lines("POST", posts), *_lines("GET", shows)]
    return Table(title, lines, {"post": posts, "get": shows})


def server_pid(port: int) -> int:
    """Return the master process of the gunicorn on this port, a child of this process."""
    for pid in usage.family(os.getpid()):
        if f"127.0.0.1:{port}" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    raise LookupError(f"no child process serves port {port}")


def api_key(client: str, request_limits: str = "") -> str:
    """Create a client with an API key. Django is set up on our store."""
    from audit.record import command_line
    from clients import issuing
    from clients.models import Client

    row = Client.objects.create(slug=client, request_limits=request_limits)
    fields = {"name": "benchmark", "scopes": "jobs:submit, jobs:read"}
    return issuing.create(row, command_line(), **fields).text


def _in_turn(rounds: int, plans: Mapping[str, Plan]) -> Rounds:
    return [{name: measured(plan) for name, plan in plans.items()} for _ in range(rounds)]


def _complete(folder: Path, table: str, key: str) -> Sequence[str]:
    """Complete the first jobs and return their paths."""
    with closing(sqlite3.connect(folder / "enrichlabs.sqlite3", timeout=20)) as store, store:
        statement = COMPLETE.format(table=table, key=key, count=JOBS_SHOWN)
        rows = store.execute(statement).fetchall()
    return [f"/jobs/{job_id}" for (job_id,) in rows]


def _lines(method: str, rounds: Rounds) -> list[Line]:
    return [_line(method, name, rounds) for name in rounds[0]]


def _line(method: str, name: str, rounds: Rounds) -> Line:
    median = {
        key: statistics.median(figures[name][key] for figures in rounds) for key in rounds[0][name]
    }
    ours, other = (name, BARE) if name == EVERYTHING else (OURS, name)
    ratio = statistics.median(
        figures[ours]["right_a_second"] / figures[other]["right_a_second"] for figures in rounds
    )
    words = f"{ratio:.2f} x the bare view" if name == EVERYTHING else f"ours is {ratio:.2f} x"
    wrong = f", {median['wrong_a_second']:.0f} others" if median["wrong_a_second"] else ""
    figure = f"{median['right_a_second']:.0f}/s{wrong}, p95 {median['p95_ms']:.0f} ms"
    aim = AIMS.get((method, name))
    return Line(
        f"{method}, {name}",
        f"{figure}, {median['server_cpu_ms']:.2f} ms of CPU",
        "" if name == OURS else words,
        f"at least {aim} x" if aim else "",
    )
