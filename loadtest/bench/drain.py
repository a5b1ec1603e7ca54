"""How fast a backlog drains when the vendor answers at once: EnrichLabs and its peers, in turn."""

import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import redis

from harness.running import ROOT, environment
from loadtest.bench import vendor as vendors
from loadtest.bench.apart import apart
from loadtest.bench.floor import floor
from loadtest.bench.progress import Cpu, Pace, pace
from loadtest.bench.results import Line, Table
from loadtest.bench.service import queue, running, service, valkey
from loadtest.bench.usage import cpu_seconds

OURS = "EnrichLabs"
STORE = "enrichlabs.sqlite3"
# The commands of each peer, with the settings that were fastest on 2 cores. Also tried: Celery's
# prefork pool of 2 (its default; a sixth slower than 2 workers with threads, because each task goes
# through a third process), its solo pool, 8 threads and its own prefetch (no faster); Dramatiq with
# 1, 2, 4 and 16 threads; Huey without its scheduler (no faster).
CELERY = ["celery", "-A", "loadtest.bench.peers.celery", "worker", "--loglevel=WARNING"]
CELERY += ["-Pthreads", "-c2", "--prefetch-multiplier=100"]
WORKERS = {
    "celery": [[*CELERY, "--hostname=one"], [*CELERY, "--hostname=two"]],
    "dramatiq": [["dramatiq", "loadtest.bench.peers.dramatiq", "--processes=2", "--threads=8"]],
    "huey": [
        ["huey.bin.huey_consumer", "loadtest.bench.peers.huey.huey", "--quiet", "-kprocess", "-w2"]
    ],
}
# EnrichLabs again, with other numbers of processes and vendors.
STANDARD = "2 processes"
SHAPES: dict[str, dict[str, int]] = {
    "1 process": {"processes": 1},
    STANDARD: {"processes": 2},
    "4 processes": {"processes": 4},
    "2 processes, 10 vendors": {"processes": 2, "slugs": 10},
    "2 processes, 200 vendors": {"processes": 2, "slugs": 200},
}

Paces = dict[str, list[Pace]]


def measure(folder: Path, quick: bool) -> Table:
    rounds, count, peer_count = (1, 1600, 500) if quick else (2, 10000, 3000)
    beside: Paces = {name: [] for name in (OURS, *WORKERS)}
    for number in range(rounds):
        beside[OURS].append(apart(ours, folder / f"ours-{number}", count))
        for name in WORKERS:
            beside[name].append(peer(folder / f"{name}-{number}", name, peer_count))
    with vendors.vendor() as url:
        calls = {
            processes: floor(url, processes=processes, seconds=1 if quick else 4)
            for processes in (1, 2)
        }
    shapes = (
        {}
        if quick
        else {what: apart(ours, folder / what, count, **shape) for what, shape in SHAPES.items()}
    )
    lines = [*_peer_lines(beside), *_floor_lines(calls, beside[OURS]), *_shape_lines(shapes)]
    raw = {
        "beside": {name: [asdict(found) for found in paces] for name, paces in beside.items()},
        "floor": {processes: asdict(found) for processes, found in calls.items()},
        "shapes": {what: asdict(found) for what, found in shapes.items()},
    }
    return Table(
        "Drain of a backlog: 2 worker processes, a vendor that answers at once",
        lines,
        raw,
    )


def ours(folder: Path, count: int, *, processes: int = 2, slugs: int = 1) -> Pace:
    """Return our pace with the jobs spread over `slugs` vendors. Sets Django up."""
    with vendors.vendor() as url:
        table = "\n".join(
            f'[vendors.v{number}]\nadapter = "sync"\nurl = "{url}"' for number in range(slugs)
        )
        with service(folder, table) as serves:
            for number in range(slugs):
                queue(f"v{number}", count // slugs)
            with serves.worker("--processes", processes) as worker:
                return pace(
                    folder / STORE, "jobs_job", count, _cpu([worker.pid], serves.redis, url)
                )


def peer(folder: Path, name: str, count: int) -> Pace:
    folder.mkdir(parents=True)
    with vendors.vendor() as url, valkey(folder) as sock:
        variables = environment(
            folder,
            VALKEY_SOCKET=sock,
            VENDOR_URL=url,
            DJANGO_SETTINGS_MODULE="loadtest.bench.peers.settings",
        )
        queueing = [sys.executable, "-m", "loadtest.bench.peers", name, str(count)]
        subprocess.run(queueing, cwd=ROOT, env=variables, check=True)
        with ExitStack() as stack:
            commands = [[sys.executable, "-m", *words] for words in WORKERS[name]]
            workers = [
                stack.enter_context(running(command, variables, folder / "worker.log"))
                for command in commands
            ]
            used = _cpu(
                [worker.pid for worker in workers], redis.Redis(unix_socket_path=str(sock)), url
            )
            return pace(folder / STORE, "peers_job", count, used)


def _cpu(workers: Sequence[int], client: "redis.Redis", url: str) -> Callable[[], Cpu]:
    redis_pid = client.info("server")["process_id"]
    return lambda: {
        "worker": sum(map(cpu_seconds, workers)),
        "Redis": cpu_seconds(redis_pid),
        "vendor": vendors.figures(url)["cpu_seconds"],
    }


def _peer_lines(beside: Paces) -> list[Line]:
    ratios = {name: _ratio(beside[OURS], beside[name]) for name in WORKERS}
    fastest = min(ratios, key=lambda name: ratios[name])
    aims = {fastest: "2 x the fastest peer, at least 1.7 x", "celery": "4 x Celery"}
    return [
        Line(OURS, _figure(beside[OURS])),
        *(
            Line(
                f"{name.title()} {version(name)}",
                _figure(beside[name]),
                f"ours is {ratio:.2f} x",
                aims.get(name, ""),
            )
            for name, ratio in ratios.items()
        ),
    ]


def _floor_lines(calls: dict[int, Pace], our_paces: Sequence[Pace]) -> list[Line]:
    share = _median_rate(our_paces) / calls[2].jobs_per_second
    return [
        Line("the call alone, 1 thread", _figure([calls[1]], "calls")),
        Line(
            "the call alone, 2 processes of 1 thread",
            _figure([calls[2]], "calls"),
            f"ours is {share:.2f} x",
        ),
    ]


def _shape_lines(shapes: dict[str, Pace]) -> list[Line]:
    return [
        Line(
            f"{OURS}, {what}",
            _figure([found]),
            f"{_ratio([found], [shapes[STANDARD]]):.2f} x that of {STANDARD}",
        )
        for what, found in shapes.items()
    ]


def _ratio(some: Sequence[Pace], others: Sequence[Pace]) -> float:
    """Return the median of the rounds' ratios."""
    pairs = zip(some, others, strict=True)
    return statistics.median(one.jobs_per_second / other.jobs_per_second for one, other in pairs)


def _median_rate(paces: Sequence[Pace]) -> float:
    return statistics.median(found.jobs_per_second for found in paces)


def _figure(paces: Sequence[Pace], unit: str = "jobs") -> str:
    cpu = {
        name: statistics.median(found.cpu_ms_per_job[name] for found in paces)
        for name in paces[0].cpu_ms_per_job
    }
    each = ", ".join(f"{name} {ms:.2f}" for name, ms in cpu.items())
    return f"{_median_rate(paces):.0f} {unit}/s; CPU ms each: {each}"
