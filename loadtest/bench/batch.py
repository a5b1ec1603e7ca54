"""Posting 1,000 jobs in one request, compared with 200 users and with one client who post them
one by one.

All load one gunicorn in turn, with an API key. No worker runs. A ratio is the median of the ratios
of all rounds.
"""

import json
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from loadtest.bench.results import Line, Table
from loadtest.bench.service import service
from loadtest.bench.submit import BODY, VENDORS, api_key, server_pid
from loadtest.bench.users import Plan, measured

JOBS = 1000
BATCH, USERS, ONE = "batches of 1,000", "200 users, one by one", "one client, one by one"
KEYED = "batches with an Idempotency-Key"
AIMS = {USERS: 4, ONE: 10}


def measure(folder: Path, quick: bool) -> Table:
    rounds, seconds = (2, 1.0) if quick else (7, 3.0)
    with service(folder, VENDORS) as ours, ours.api() as port:
        single = Plan(
            port, server_pid(port), ["/jobs"], 202, BODY, api_key=api_key("bench"), seconds=seconds
        )
        jobs = json.dumps({"jobs": [json.loads(BODY)] * JOBS})
        batch = replace(single, paths=["/batches"], body=jobs, users=1)
        plans = {
            BATCH: batch,
            KEYED: replace(batch, repeatable=True),
            USERS: single,
            ONE: replace(single, users=1),
        }
        found = [
            {name: _figures(name, plan) for name, plan in plans.items()} for _ in range(rounds)
        ]
    title = "Jobs posted per second, gunicorn with 2 processes"
    return Table(title, [_line(name, found) for name in plans], {"rounds": found})


def _figures(name: str, plan: Plan) -> dict[str, float]:
    figures = measured(plan)
    count = JOBS if name in (BATCH, KEYED) else 1
    return {
        "jobs_a_second": count * figures["right_a_second"],
        "wrong_a_second": figures["wrong_a_second"],
        "p50_ms": figures["p50_ms"],
        "cpu_us_a_job": figures["server_cpu_ms"] * 1000 / count,
    }


def _line(name: str, rounds: list[dict[str, dict[str, float]]]) -> Line:
    def median(key: str) -> float:
        return statistics.median(figures[name][key] for figures in rounds)

    ratio = statistics.median(_ratio(name, figures) for figures in rounds)
    wrong = f", {median('wrong_a_second'):.0f} others" if median("wrong_a_second") else ""
    return Line(
        name,
        f"{median('jobs_a_second'):.0f} jobs/s{wrong}, a request p50 {median('p50_ms'):.1f} ms, "
        f"{median('cpu_us_a_job'):.0f} us of CPU for a job",
        "" if name == BATCH else f"a batch is {ratio:.1f} x",
        f"at least {AIMS[name]} x" if name in AIMS else "",
    )


def _ratio(name: str, figures: Mapping[str, Mapping[str, float]]) -> float:
    return figures[BATCH]["jobs_a_second"] / figures[name]["jobs_a_second"]
