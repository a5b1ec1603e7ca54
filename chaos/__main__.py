"""script/chaos: a fault campaign against the real parts of the system (docs/reliability.md)."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django

from chaos.system import System
from harness.mongodb import mongodb

DISK_MIB = 512
RATE = 36.0  # jobs a second: more than 20,000 in ten minutes


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # stops everything
    logs = Path(tempfile.mkdtemp(prefix="enrichlabs-chaos-"))
    with ExitStack() as stack:
        data = stack.enter_context(small_disk(logs / "data"))
        url, process = stack.enter_context(mongodb()) if options.store == "mongodb" else ("", None)
        system = System(data=data, logs=logs, seed=options.seed, store=process)
        stack.callback(system.stop)
        os.environ.update(
            system.environment(), DATABASE_URL=url, DJANGO_SETTINGS_MODULE="enrichlabs.settings"
        )
        django.setup()
        from chaos.campaign import Options, run  # needs the settings

        passed = run(Options(options.seed, options.minutes, options.rate, options.store), system)
    if passed and not options.keep:
        shutil.rmtree(logs)
    else:
        sys.stdout.write(f"Logs of all parts: {logs}\n")
    return 0 if passed else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=1, help="a seed repeats its schedule (default 1)"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=1.0,
        help="how long to submit jobs and inject faults (default 1)",
    )
    parser.add_argument(
        "--store",
        choices=["sqlite", "mongodb"],
        default="sqlite",
        help="store to run on (default sqlite)",
    )
    parser.add_argument(
        "--rate", type=float, default=RATE, help=f"jobs a second (default {RATE:g})"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs and the vendor's ledger")
    return parser.parse_args()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Yield a file system small enough to be filled, or a plain folder if we may not mount one."""
    folder.mkdir()
    mounted = mount("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        if mounted:
            mount("umount", "--lazy", str(folder))


def mount(*command: str) -> bool:
    try:
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
