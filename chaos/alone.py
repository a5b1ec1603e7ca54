"""Runs a command in its own network and process namespaces: python -m chaos.alone COMMAND

The kernel removes everything the command makes or starts there when the command or this process
ends, by any signal. Exit status 2 if such namespaces are unavailable.
"""

import signal
import subprocess
import sys

UNSHARE = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
AS_USER = ["--user", "--map-root-user"]  # if we are not root and the kernel permits it
UNAVAILABLE = (
    "Network namespaces are unavailable. Run on Linux with iproute2 and util-linux, as root or "
    "where users may create namespaces.\n"
)
TRIAL = ["ip", "link", "add", "trial", "type", "bridge"]


def main() -> int:
    prefix = next((each for each in (UNSHARE, [*UNSHARE, *AS_USER]) if can(each)), None)
    if prefix is None:
        sys.stderr.write(UNAVAILABLE)
        return 2
    # In its own session, so that only we get Ctrl-C.
    process = subprocess.Popen([*prefix, *sys.argv[1:]], start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: process.kill())
    status = process.wait()
    return status if status >= 0 else 128 - status


def can(prefix: list[str]) -> bool:
    command = [*prefix, *TRIAL]
    try:
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
