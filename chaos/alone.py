"""Runs a command with a network and processes of its own: python -m chaos.alone COMMAND

The kernel takes away all that it makes and starts there when it ends, or when this process does, by
whatever signal. Status 2 where such namespaces can't be had.
"""

import signal
import subprocess
import sys

APART = [
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
AS_NOBODY = ["--user", "--map-root-user"]  # where we are not root, and the kernel lets us
TRIAL = ["ip", "link", "add", "trial", "type", "bridge"]


def main() -> int:
    apart = next((apart for apart in (APART, [*APART, *AS_NOBODY]) if can(apart)), None)
    if apart is None:
        sys.stderr.write(
            "This needs network namespaces: Linux with iproute2 and util-linux, as root or where users may make namespaces.\n"
        )
        return 2
    # In a session of its own, so that Ctrl-C comes to us alone.
    process = subprocess.Popen([*apart, *sys.argv[1:]], start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: process.kill())
    status = process.wait()
    return status if status >= 0 else 128 - status


def can(apart: list[str]) -> bool:
    try:
        return (
            subprocess.run([*apart, *TRIAL], stderr=subprocess.DEVNULL, check=False).returncode == 0
        )
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
