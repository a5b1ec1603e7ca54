"""Hosts as network namespaces, each with a name and an address, joined by a bridge that this
process is connected to as well.

They are created in this process's network namespace, which must be private (chaos/alone.py).
"""

import subprocess
from collections.abc import Sequence

ADDRESS = "10.77.0.{}"  # used only inside these namespaces
BRIDGE = "bridge"
NO_HOST = "02:00:00:00:00:00"  # a hardware address that no host has

# Keeps the namespaces of a host while it lives, and reports when they exist.
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
        """The process that owns the host's namespaces."""
        return self._holder.pid

    def command(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs this command on the host."""
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
        """Add a host. Its name is also that of its link, so it has at most 15 characters."""
        host = Host(name, ADDRESS.format(len(self.hosts) + 2))
        self.hosts.append(host)
        peer = ["peer", "name", "eth0", "netns", str(host.pid)]
        run("ip", "link", "add", name, "type", "veth", *peer)
        run("ip", "link", "set", name, "master", BRIDGE, "up")
        run(*host.command(["ip", "address", "add", f"{host.address}/24", "dev", "eth0"]))
        run(*host.command(["ip", "link", "set", "eth0", "up"]))
        return host

    def named(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def cut_off(self, host: Host) -> None:
        """Drop everything from and to a host silently."""
        run("ip", "link", "set", host.name, "down")

    def join(self, host: Host) -> None:
        run("ip", "link", "set", host.name, "up")

    def part(self, one: Host, other: Host) -> None:
        """Drop everything between two hosts silently."""
        for at, to in ((one, other), (other, one)):
            entry = [to.address, "lladdr", NO_HOST, "dev", "eth0", "nud", "permanent"]
            run(*at.command(["ip", "neighbour", "replace", *entry]))

    def rejoin(self, one: Host, other: Host) -> None:
        for at, to in ((one, other), (other, one)):
            run(*at.command(["ip", "neighbour", "del", to.address, "dev", "eth0"]))


def run(*command: str) -> None:
    subprocess.run(command, check=True)
