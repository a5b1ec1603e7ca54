"""python -m demo [--jobs 45000] [--seed 1]: fills an empty store and runs the service on it.

Settings come from the environment, as for the server. Its vendors are the demo's own.
"""

import os
import signal
import subprocess
import sys
import tomllib
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from demo.traffic import Traffic
from enrichlabs.standalone import bootstrap, startup
from enrichlabs.standalone.startup import StartupError

if TYPE_CHECKING:
    from demo.fill import Filled

VENDORS = Path(__file__).with_name("vendors.toml")
HOST = "127.0.0.1"
READY = """
The demo has a day of history, and {vendors} vendors with a story each (demo/vendors.toml).
Besides admin, these users can log in to the console:

{users}

"""


def main() -> int:
    options = arguments()
    # Settings are read once, so the vendors are named before.
    folder = Path(os.environ["ENRICHLABS_DATA"]).resolve()
    port = int(os.environ.get("PORT") or 8000)
    mocks = f"http://{HOST}:{os.environ.get('MOCK_PORT') or port + 1}"
    file = folder / "demo-vendors.toml"
    os.environ.update(ENRICHLABS_DATA=str(folder), ENRICHLABS_VENDORS=str(file), MOCK_VENDORS="1")
    os.environ.setdefault("LOG_LEVEL", "ERROR")  # the faults are the story
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(VENDORS.read_text().replace("{mocks}", f"{mocks}/mock-vendors"))
        filled = fill(mocks, options.jobs, options.seed)
    except (OSError, StartupError) as error:
        startup.report(error)
        return 1
    return 0 if options.only_fill else run(Traffic(port, filled.keys), filled)


def arguments() -> Namespace:
    parser = ArgumentParser(prog="script/demo", description="Shows the console alive.")
    parser.add_argument("--jobs", type=int, default=45_000, help="how many the last day had")
    parser.add_argument("--seed", default="1", help="the same seed makes the same day")
    parser.add_argument("--only-fill", action="store_true", help="fill the store, start nothing")
    return parser.parse_args()


def fill(mocks: str, count: int, seed: str) -> "Filled":
    """Prepare the store and fill it. Raises StartupError."""
    startup.load_settings()
    from demo import entries  # these need Django set up
    from demo import fill as filling

    with startup.locked_data_folder() as lock:
        startup.check_store()
        try:
            bootstrap.prepare(mocks)
            filled = filling.fill(count, seed)
            entries.add(lock)
        except filling.NotEmptyError as error:
            raise StartupError(str(error)) from None
        finally:
            bootstrap.close_store()
    return filled


def run(traffic: Traffic, filled: "Filled") -> int:
    """Run the server with traffic until it ends, or somebody ends it."""
    server = subprocess.Popen([sys.executable, "-m", "enrichlabs.server"])
    signal.signal(signal.SIGTERM, lambda number, frame: server.terminate())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if traffic.wait_until_ready(server):
        users = "\n".join(
            f"  user {name}, password {word}" for name, word in filled.passwords.items()
        )
        vendors = len(tomllib.loads(VENDORS.read_text())["vendors"])
        sys.stdout.write(READY.format(vendors=vendors, users=users))
        sys.stdout.flush()
        traffic.start()
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:
            continue  # the server got it, too


if __name__ == "__main__":
    sys.exit(main())
