"""Whether the service stays as fast with a million jobs as with a thousand: done or waiting.

Stores of all sizes are filled once and measured in turn, so that other load on the machine slows
all of them alike.
"""

import statistics
from pathlib import Path
from typing import NamedTuple

from loadtest.bench.apart import apart
from loadtest.bench.place import Place, Visit, make, prepare, visit
from loadtest.bench.results import Line, Table
from loadtest.bench.vendor import vendor

SERIES = {"done": "jobs that are done", "waiting": "jobs that wait for a limited vendor"}
SIZES, QUICK_SIZES = (1_000, 10_000, 100_000, 1_000_000), (1_000, 10_000)


class Figure(NamedTuple):
    what: str
    unit: str


VISITED = {
    "drain": Figure("drain of another vendor, 2 processes", "jobs/s"),
    "post": Figure("p95 of POST /jobs", "ms"),
    "list": Figure("console's list of jobs", "ms"),
    "sweep": Figure("one sweep", "ms"),
    "idle": Figure("2 idle worker processes", "% of a core"),
}
KEPT = {
    "store_bytes": Figure("store", "bytes a job"),
    "redis_bytes": Figure("Redis", "bytes a job"),
}
FIGURES = {**VISITED, **KEPT}


def measure(folder: Path, quick: bool) -> Table:
    sizes = QUICK_SIZES if quick else SIZES
    much, rounds = (Visit(600, 100, 1), 1) if quick else (Visit(3000, 500, 5), 3)
    with vendor() as url:
        apart(prepare, folder / "prepared", url)
        places = [
            Place(folder / f"{name}-{size}", size, waiting=name == "waiting")
            for name in SERIES
            for size in sizes
        ]
        kept = [apart(make, place, folder / "prepared") for place in places]
        visits = [[apart(visit, place, much) for place in places] for _ in range(rounds)]
    readings = [
        {
            **{name: [round_[number][name] for round_ in visits] for name in VISITED},
            **{name: [kept[number][name] / place.jobs] for name in KEPT},
        }
        for number, place in enumerate(places)
    ]
    raw = {
        name: _by_size(readings[at : at + len(sizes)])
        for name, at in zip(SERIES, (0, len(sizes)), strict=True)
    }
    counts = ", ".join(f"{size:,}" for size in sizes)
    title = f"With {counts} jobs in the store; the ratio is that of the last to the first"
    lines = [_line(name, figure, raw[name][figure]) for name in SERIES for figure in FIGURES]
    return Table(title, lines, {"jobs": list(sizes), **raw})


def _by_size(readings: list[dict[str, list[float]]]) -> dict[str, list[list[float]]]:
    """Return the readings of each size, by figure."""
    return {figure: [reading[figure] for reading in readings] for figure in FIGURES}


def _line(series: str, name: str, readings: list[list[float]]) -> Line:
    figure, medians = FIGURES[name], [statistics.median(of_size) for of_size in readings]
    shown = ", ".join(f"{median:,.{_places(median)}f}" for median in medians)
    ratio = f"{medians[-1] / medians[0]:.2f} x" if medians[0] > 0 else ""
    return Line(f"{SERIES[series]}: {figure.what}", f"{shown} {figure.unit}", ratio)


def _places(figure: float) -> int:
    return 0 if figure >= 100 else 1
