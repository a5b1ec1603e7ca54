"""Measures EnrichLabs beside its peers, all in one run on one machine: python -m bench, which
script/bench calls.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from loadtest.bench import machine
from loadtest.bench.results import Table

# Each names a module of this package with `measure(folder, quick)`.
BENCHMARKS = ("limiter", "stages", "drain", "latent", "submit", "idle", "load", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"what to measure: {', '.join(BENCHMARKS)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a short look, whose figures say little"
    )
    parser.add_argument("--json", type=Path, help="keep the raw numbers in this file")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("stopped")
    )  # so that everything is cleaned up
    about = machine.describe()
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in about.items()) + "\n")
    tables = {name: _measure(name, options.quick) for name in options.names or BENCHMARKS}
    if options.json:
        kept = {
            "machine": about,
            "quick": options.quick,
            **{name: table.raw for name, table in tables.items()},
        }
        options.json.write_text(json.dumps(kept, indent=1) + "\n")


def _measure(name: str, quick: bool) -> Table:
    measure: Callable[[Path, bool], Table] = import_module(f"loadtest.bench.{name}").measure
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        table = measure(Path(folder), quick)
    sys.stdout.write(f"\n{table.text()}\n")
    sys.stdout.flush()
    return table


if __name__ == "__main__":
    main()
