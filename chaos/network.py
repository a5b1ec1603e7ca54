"""Hosts of our own: network namespaces with a name and an address each, joined by a bridge on which
we ourselves are one more.

It is made in the network namespace of this process, which must be one of its own (chaos/alone.py).
"""

import subprocess
from collections.abc import Sequence

ADDRESS = "10.77.0.{}"  # in use inside these namespaces alone
BRIDGE = "bridge"
NOBODY = "02:00:00:00:00:00"  # the hardware address of nobody

# Holds the namespaces of a host for as long as it lives, and says when they are there.
HOLD = 'hostname "$0" && ip link set lo up && echo && exec sleep infinity'


class Host:
    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        holder = ["unshare", "--net", "--uts", "sh", "-c", HOLD, name]
        self._holder = subprocess.Popen(holder, stdout=subprocess.PIPE)
        assert self._holder.stdout  # noqa: S101 - for the types
        self._holder.stdout.readline()

    @property
    def pid(self) -> int:
        """The process whose namespaces are those of the host."""
        return self._holder.pid

    def command(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs this one on the host."""
        return ["nsenter", f"--target={self.pid}", "--net", "--uts", "--", *command]


class Network:
    def __init__(self) -> None:
        self.address = ADDRESS.format(1)  # ours
        self.hosts: list[Host] = []
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{self.address}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    def add(self, name: str) -> Host:
        """Make a host; its name is that of its link, too, and has at most 15 characters."""
        host = Host(name, ADDRESS.format(len(self.hosts) + 2))
        self.hosts.append(host)
        run(
            "ip",
            "link",
            "add",
            name,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            str(host.pid),
        )
        run("ip", "link", "set", name, "master", BRIDGE, "up")
        run(*host.command(["ip", "address", "add", f"{host.address}/24", "dev", "eth0"]))
        run(*host.command(["ip", "link", "set", "eth0", "up"]))
        return host

    def named(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def cut_off(self, host: Host) -> None:
        """Pull its plug: nothing comes or goes, and nobody is told."""
        run("ip", "link", "set", host.name, "down")

    def join(self, host: Host) -> None:
        run("ip", "link", "set", host.name, "up")

    def part(self, one: Host, other: Host) -> None:
        """Have what these two say to each other vanish, without a sign to either."""
        for at, to in ((one, other), (other, one)):
            run(
                *at.command(
                    [
                        "ip",
                        "neighbour",
                        "replace",
                        to.address,
                        "lladdr",
                        NOBODY,
                        "dev",
                        "eth0",
                        "nud",
                        "permanent",
                    ]
                )
            )

    def rejoin(self, one: Host, other: Host) -> None:
        for at, to in ((one, other), (other, one)):
            run(*at.command(["ip", "neighbour", "del", to.address, "dev", "eth0"]))


def run(*command: str) -> None:
    subprocess.run(command, check=True)
