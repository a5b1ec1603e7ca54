"""Draws the readings of script/bench --json as SVG. The same readings make the same file.

python -m loadtest.bench.pictures FILE FOLDER
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from loadtest.bench.scale import FIGURES, SERIES

COLOURS = {"done": "#1f6f8b", "waiting": "#d1495b"}
US = "EnrichLabs"
OURS, PEER = "#1f6f8b", "#b8c4cc"
STYLE = {
    "svg.fonttype": "none",  # text stays text: small, and it can be searched
    "svg.hashsalt": "enrichlabs",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#889",
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e6e8",
    "legend.frameon": False,
}
COLUMNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="file written by script/bench --json")
    parser.add_argument("folder", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    kept = json.loads(options.file.read_text())
    options.folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        if "scale" in kept:
            _save(scale(kept["scale"]), options.folder / "scale.svg")
        if "drain" in kept:
            beside = kept["drain"]["beside"].items()
            _save(
                drain(
                    {name: [pace["jobs_per_second"] for pace in paces] for name, paces in beside}
                ),
                options.folder / "drain.svg",
            )


def scale(kept: dict[str, Any]) -> Figure:
    """Draw each figure over the number of jobs: the line is the median, the band all readings."""
    rows = -(-(len(FIGURES) + 1) // COLUMNS)
    figure: Figure = plt.figure(figsize=(2.7 * COLUMNS, 2.3 * rows), layout="constrained")
    *panels, rest = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for panel, (name, about) in zip(panels, FIGURES.items(), strict=True):
        for series in SERIES:
            _curve(panel, kept["jobs"], kept[series][name], series)
        panel.set(title=f"{about.what}\n{about.unit}", xscale="log", xlabel="jobs in the store")
        panel.set_ylim(bottom=0)
        panel.minorticks_off()
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    rest.axis("off")
    rest.legend(*panels[0].get_legend_handles_labels(), loc="center left")
    return figure


def _curve(panel: Axes, jobs: list[int], readings: list[list[float]], series: str) -> None:
    medians = [statistics.median(of_size) for of_size in readings]
    panel.plot(jobs, medians, color=COLOURS[series], marker="o", markersize=3, label=SERIES[series])
    panel.fill_between(
        jobs,
        [*map(min, readings)],
        [*map(max, readings)],
        color=COLOURS[series],
        alpha=0.15,
        linewidth=0,
    )


def drain(readings: dict[str, list[float]]) -> Figure:
    """Draw a bar for each contender, the fastest first, and a line from its slowest to its fastest
    reading.
    """
    medians = {name: statistics.median(of_name) for name, of_name in readings.items()}
    names = sorted(medians, key=lambda name: medians[name])
    figure: Figure = plt.figure(figsize=(6, 0.45 * len(names) + 0.9), layout="constrained")
    panel = figure.add_subplot()
    panel.barh(
        names,
        [medians[name] for name in names],
        color=[OURS if name == US else PEER for name in names],
    )
    for place, name in enumerate(names):
        panel.plot(
            [min(readings[name]), max(readings[name])], [place, place], color="#334", linewidth=1
        )
        panel.annotate(
            f"{medians[name]:,.0f}",
            (max(readings[name]), place),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    panel.set(title="jobs/s of 2 processes, with a vendor that answers at once")
    panel.grid(visible=False, axis="y")
    panel.set_xlim(right=1.12 * max(map(max, readings.values())))
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
