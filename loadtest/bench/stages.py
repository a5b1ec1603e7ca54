"""Where the time of a job goes: the CPU that each step takes in one thread, beside what `requests`
takes for the call alone.

A worker's threads hand jobs to each other; what that costs is what a job takes in a worker
(bench.drain) and does not here.
"""

import gc
import statistics
from pathlib import Path

import requests

from loadtest.bench import vendor as vendors
from loadtest.bench.apart import apart
from loadtest.bench.results import Line, Table
from loadtest.bench.service import service

BATCH = 100
VENDOR = '[vendors.quick]\nadapter = "sync"\nurl = "{url}"\n'
STEPS = {
    "accept": "accept: rows and entries, many requests in a commit",
    "take": "take: one script, its reply read",
    "start": "start: one update, one read",
    "call": "call: the vendor, by the adapter",
    "record": "record: one update, one insert, then settle",
}
ALONE = "requests.Session().post() alone"


def measure(folder: Path, quick: bool) -> Table:
    rounds = 5 if quick else 30
    with vendors.vendor() as url:
        cpu_us = apart(_cpu_us, folder, url, rounds)
    medians = {step: statistics.median(of_step) for step, of_step in cpu_us.items()}
    alone = medians.pop(ALONE)
    worker = sum(medians[step] for step in STEPS if step != "accept")
    lines = [
        *(
            Line(what, f"{medians[step]:.0f} us", f"{medians[step] / worker:.0%} of the worker's")
            for step, what in STEPS.items()
            if step != "accept"
        ),
        Line(
            "a job in a worker", f"{worker:.0f} us", f"{worker / alone:.2f} x the call by requests"
        ),
        Line(ALONE, f"{alone:.0f} us", f"ours is {medians['call'] / alone:.2f} x"),
        Line(STEPS["accept"], f"{medians['accept']:.0f} us"),
    ]
    return Table(f"CPU of each step, a job, in one thread, {BATCH} jobs a batch", lines, cpu_us)


def _cpu_us(folder: Path, url: str, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of CPU a job, by step, of each round. Sets Django up."""
    with service(folder, VENDOR.format(url=url)):
        from loadtest.bench.stepwise import Stepwise

        stepwise, session = Stepwise(), requests.Session()
        gc.collect()
        gc.freeze()  # as a worker does
        for _ in range(rounds):
            stepwise.run(BATCH)
            with stepwise.step(ALONE, BATCH):
                for _ in range(BATCH):
                    session.post(url, json={"name": "John Doe"}, timeout=30).json()
        return dict(stepwise.cpu_us)
