"""script/hosts: the system on several hosts, which are cut off and healed under load
(docs/reliability.md).
"""

import argparse
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import django

from chaos.__main__ import small_disk
from chaos.spread import Spread
from chaos.vendors import set_limits

RATE = 12.0  # jobs a second
# Slightly above the rate of new jobs, so that after an outage all hosts together work at the limit.
LIMITS = {"limited": "4/s", "windows": "1/s, 50/min", "signed": "4/s"}


def main() -> int:
    options = arguments()
    set_limits(LIMITS)
    logs = Path(tempfile.mkdtemp(prefix="enrichlabs-hosts-"))
    sys.stdout.write(f"Logs of all parts: {logs}\n")
    with ExitStack() as stack:
        data = stack.enter_context(small_disk(logs / "data"))
        system = Spread(data=data, logs=logs, seed=options.seed)
        stack.callback(system.stop)
        os.environ.update(system.environment(), DJANGO_SETTINGS_MODULE="enrichlabs.settings")
        django.setup()
        from chaos.partitions import Options, run  # needs the settings

        passed = run(Options(options.seed, options.rate, options.rounds), system)
    if passed and not options.keep:
        shutil.rmtree(logs)
    return 0 if passed else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/hosts", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="a seed repeats its jobs (default 1)")
    parser.add_argument(
        "--rate", type=float, default=RATE, help=f"jobs a second (default {RATE:g})"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="how often to make each cut (default 1)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs and the vendor's ledger")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
