"""script/bench: measures EnrichLabs next to its peers, in one run on one machine."""

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

# Each is a module of this package with `measure(folder, quick)`.
BENCHMARKS = ("limiter", "stages", "drain", "latent", "submit", "batch", "idle", "load", "scale")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"benchmarks to run: {', '.join(BENCHMARKS)} (default: all)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a short run, whose figures mean little"
    )
    parser.add_argument("--json", type=Path, help="write all readings to this file")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Use {', '.join(BENCHMARKS)}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    about = machine.describe()
    sys.stdout.write("\n".join(f"{name}: {value}" for name, value in about.items()) + "\n")
    tables = {name: _measure(name, options.quick) for name in options.names or BENCHMARKS}
    if options.json:
        readings = {name: table.raw for name, table in tables.items()}
        result = {"machine": about, "quick": options.quick, **readings}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def _measure(name: str, quick: bool) -> Table:
    measure: Callable[[Path, bool], Table] = import_module(f"loadtest.bench.{name}").measure
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        table = measure(Path(folder), quick)
    sys.stdout.write(f"\n{table.text()}\n")
    sys.stdout.flush()
    return table


if __name__ == "__main__":
    main()
