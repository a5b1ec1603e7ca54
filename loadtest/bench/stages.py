"""The CPU that each step of a job takes in one thread, and the call made by `requests` alone.

In a worker, threads also hand jobs to each other. What that costs is the difference to the CPU per
job in loadtest.bench.drain.
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
ACCEPT = "accept: rows and entries, many requests in a commit"
STEPS = {  # of a worker
    "take": "take: one script, its reply read",
    "claim": "claim: one update, one read",
    "execute": "execute: the call through the adapter",
    "record": "record: one update, one insert",
    "settle": "settle: one script",
}
ALONE = "requests.Session().post() alone"


def measure(folder: Path, quick: bool) -> Table:
    rounds = 5 if quick else 30
    with vendors.vendor() as url:
        cpu_us = apart(_cpu_us, folder, url, rounds)
    medians = {step: statistics.median(of_step) for step, of_step in cpu_us.items()}
    alone = medians.pop(ALONE)
    worker = sum(medians[step] for step in STEPS)
    lines = [
        Line(what, f"{medians[step]:.0f} us", f"{medians[step] / worker:.0%} of the worker's")
        for step, what in STEPS.items()
    ]
    times_alone = f"{worker / alone:.2f} x the call by requests"
    lines += [
        Line("a job in a worker", f"{worker:.0f} us", times_alone),
        Line(ALONE, f"{alone:.0f} us", f"ours is {medians['execute'] / alone:.2f} x"),
        Line(ACCEPT, f"{medians['accept']:.0f} us"),
    ]
    title = f"CPU of each step per job, in one thread, {BATCH} jobs a batch"
    return Table(title, lines, cpu_us)


def _cpu_us(folder: Path, url: str, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of CPU per job of each round, by step. Sets Django up."""
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
