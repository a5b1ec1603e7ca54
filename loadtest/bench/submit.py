"""Posting and showing jobs, beside views that do the same work and check nothing.

By turns, 200 users ask one gunicorn after the other: ours, and that of bench.bare. Each has a
SQLite of its own (synchronous FULL), and both have one append-only Valkey. No worker runs. A ratio
is the median of those of the rounds.
"""

import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from loadtest.bench.bare.serving import bare
from loadtest.bench.results import Line, Table
from loadtest.bench.service import service
from loadtest.bench.users import Plan, answered

VENDORS = """
[vendors.sync]
adapter = "sync"
url = "http://127.0.0.1:9/"
"""
BODY = '{"vendor": "sync", "name": "John Doe"}'
SHOWN = 1000  # jobs that are asked for by turns
COMPLETE = """UPDATE {table} SET status = 'complete', result = '{{"name":"John Doe","info":"Processed sync"}}', attempt = 1,
    started_at = created_at, finished_at = created_at WHERE rowid <= {count} RETURNING {key}"""

OURS, BARE, NAIVE, EMPTY = (
    "EnrichLabs",
    "bare Django view",
    "naive REST framework view",
    "Django view that does nothing",
)
AIMS = {("POST", BARE): 0.9, ("POST", NAIVE): 1.1, ("GET", BARE): 0.9}

Rounds = list[dict[str, dict[str, float]]]  # what `answered` returns, by contender


def measure(folder: Path, quick: bool) -> Table:
    rounds, seconds = (2, 1.0) if quick else (7, 4.0)
    redis_socket = folder / "ours" / "valkey.sock"
    with (
        service(folder / "ours", VENDORS) as ours,
        ours.api() as our_port,
        bare(folder / "bare", redis_socket) as bare_port,
    ):
        posts = _by_turns(
            rounds,
            {
                OURS: Plan(our_port, ["/jobs"], 202, BODY, seconds=seconds),
                BARE: Plan(bare_port, ["/jobs"], 202, BODY, seconds=seconds),
                NAIVE: Plan(bare_port, ["/naive"], 202, BODY, seconds=seconds),
                EMPTY: Plan(bare_port, ["/empty"], 204, BODY, seconds=seconds),
            },
        )
        our_jobs = _complete(folder / "ours", "jobs_job", "_id")
        bare_jobs = _complete(folder / "bare", "bare_job", "id")
        shows = _by_turns(
            rounds,
            {
                OURS: Plan(our_port, our_jobs, 200, seconds=seconds),
                BARE: Plan(bare_port, bare_jobs, 200, seconds=seconds),
            },
        )
    title = "Requests a second of 200 users, gunicorn with 2 processes"
    return Table(
        title, [*_lines("POST", posts), *_lines("GET", shows)], {"post": posts, "get": shows}
    )


def _by_turns(rounds: int, plans: dict[str, Plan]) -> Rounds:
    return [{name: answered(plan) for name, plan in plans.items()} for _ in range(rounds)]


def _complete(folder: Path, table: str, key: str) -> Sequence[str]:
    """Complete the first jobs, and return their addresses."""
    with closing(sqlite3.connect(folder / "enrichlabs.sqlite3", timeout=20)) as store, store:
        rows = store.execute(COMPLETE.format(table=table, key=key, count=SHOWN)).fetchall()
    return [f"/jobs/{job_id}" for (job_id,) in rows]


def _lines(method: str, rounds: Rounds) -> list[Line]:
    return [_line(method, name, rounds) for name in rounds[0]]


def _line(method: str, name: str, rounds: Rounds) -> Line:
    median = {
        key: statistics.median(round_[name][key] for round_ in rounds) for key in rounds[0][name]
    }
    ratio = statistics.median(
        round_[OURS]["right_a_second"] / round_[name]["right_a_second"] for round_ in rounds
    )
    wrong = f", {median['wrong_a_second']:.0f} others" if median["wrong_a_second"] else ""
    aim = AIMS.get((method, name))
    return Line(
        f"{method}, {name}",
        f"{median['right_a_second']:.0f}/s{wrong}, p95 {median['p95_ms']:.0f} ms",
        "" if name == OURS else f"ours is {ratio:.2f} x",
        f"at least {aim} x" if aim else "",
    )
