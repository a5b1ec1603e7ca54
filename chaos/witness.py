"""An independent witness of the limiter: it monitors Redis' commands, and so knows when each call
was permitted.

A script charges a call by pushing its start (microseconds of Redis' clock) to the head of the log
of each bucket that counts it, once for each unit. A worker that does not make the call returns its
start to a script. What a rebuild pushes to the tail comes from rows, and is not a call.
"""

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

from jobs.queue.redis import script

Address = tuple[str, int] | str  # host and port, or the path of a Unix socket

CHUNK = 1 << 20
RETRY_SECONDS = 0.003
CHECK_INTERVAL_SECONDS = 0.2  # how often it checks whether to end
# MONITOR marks a script's commands with lua. An argument can't look like that: its quotes are
# escaped.
MARK, MARK_ENDS = b' lua] "L', 40
CHARGE = re.compile(
    rb'\+[\d.]+ \[\d+ lua\] "LPUSH" "enrich:((?:limit:)?\{[^}"]+\}):log" ((?:"\d+" ?)+)'
)
LOG = re.compile(rb"enrich:((?:limit:)?\{[^}]+\}):log")
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
SETTLE, RENEW = script("refund", "settle").sha, script("limits", "refund", "renew").sha
RETURNS = re.compile(f'"EVALSHA" "({SETTLE}|{RENEW})" '.encode())


class Witness(Thread):
    """Watches one Redis directly from `start` until `close`, and reconnects as soon as it can."""

    def __init__(self, address: Address) -> None:
        super().__init__(name="witness", daemon=True)
        self._address = address
        self._charges: dict[str, Counter[int]] = {}
        self._lock = Lock()
        self._blind: list[tuple[float, float]] = []
        self._blind_since: float | None = None
        self._is_closed = Event()

    @property
    def is_watching(self) -> bool:
        return self.is_alive() and self._blind_since is None

    @property
    def blind(self) -> list[tuple[float, float]]:
        """When it saw nothing, in Unix seconds: before it connected, and while Redis was down."""
        since = self._blind_since
        return [*self._blind, (since, time.time())] if since else list(self._blind)

    def starts(self, vendor: str) -> list[int]:
        """Return when calls of the vendor were permitted, in microseconds of Redis' clock: those
        with several units as often, a microsecond apart.
        """
        return self._starts(f"{{{vendor}}}")

    def starts_of_limit(self, limit: str, key: str = "") -> list[int]:
        """Return the same of all calls that a shared limit counts, or that it counts for a key."""
        return self._starts(f"limit:{{{limit}/{key}}}" if key else f"limit:{{{limit}}}")

    def _starts(self, tag: str) -> list[int]:
        with self._lock:
            return sorted(self._charges.get(tag, Counter()).elements())

    def start(self) -> None:
        self._blind_since = time.time()
        super().start()

    def close(self) -> None:
        """Stop watching. What was seen remains available."""
        self._is_closed.set()
        self.join()

    def run(self) -> None:
        while not self._is_closed.wait(RETRY_SECONDS):
            with suppress(OSError):
                self._watch()
            if not self._is_closed.is_set():
                self._blind_since = self._blind_since or time.time()

    def _watch(self) -> None:
        """Watch until Redis closes the connection. Raises OSError if it is unreachable."""
        with _connected(self._address) as connection:
            connection.sendall(b"MONITOR\r\n")
            rest = b""
            while not self._is_closed.is_set():
                try:
                    chunk = connection.recv(CHUNK)
                except TimeoutError:
                    continue  # no commands, or Redis is frozen
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                self._see(lines)

    def _see(self, lines: Sequence[bytes]) -> None:
        if lines and self._blind_since:
            if lines[0] != b"+OK\r":
                raise ConnectionError(f"Redis refuses MONITOR: {lines[0].decode()}")
            self._blind.append((self._blind_since, time.time()))
            self._blind_since = None
        for line in lines:
            if line.find(MARK, 0, MARK_ENDS) > 0:
                if charge := CHARGE.match(line):
                    self._charge(charge[1].decode(), map(int, WORD.findall(charge[2])))
            elif RETURNS.search(line):
                for tag, starts in _returned(line[line.index(b'"EVALSHA"') :]):
                    self._return(tag, starts)

    def _charge(self, tag: str, starts_us: Iterable[int]) -> None:
        with self._lock:
            self._charges.setdefault(tag, Counter()).update(starts_us)

    def _return(self, tag: str, starts_us: Iterable[int]) -> None:
        with self._lock:
            charges = self._charges.setdefault(tag, Counter())
            for start_us in starts_us:
                charges.pop(start_us, None)  # it may have been unseen


def _returned(command: bytes) -> Iterator[tuple[str, Iterable[int]]]:
    """Yield the bucket and the units of each charge that a worker returns. Those that were charged
    before a rebuild stay in the log, but were not used either.
    """
    _, sha, count, *words = WORD.findall(command)
    keys, args = words[: int(count)], words[int(count) :]
    tags = [log[1].decode() for key in keys if (log := LOG.fullmatch(key))]
    if sha.decode() == RENEW:
        charge, units, _ = args[-3:]
        yield from ((tag, _units(charge, units)) for tag in tags)
        return
    buckets = int(args[0])
    for at in range(1 + buckets, len(args), 8):
        charge, units, key = args[at + 4 : at + 7]
        for tag, its_key in zip(tags, args[1 : 1 + buckets], strict=True):
            if its_key in (b"", key):
                yield tag, _units(charge, units)


def _units(charge: bytes, units: bytes) -> Iterable[int]:
    return range(int(charge), int(charge) + int(units)) if charge else ()


def worst_window(times_us: Sequence[int], calls: int, seconds: float) -> tuple[int, int]:
    """Return the most of these times in any window of that length, and when the first window with
    more than `calls` began (0 if none did).

    `times_us` are sorted microseconds. A window is closed, as in jobs/queue/lua/limits.lua: two
    starts exactly that far apart are in one.
    """
    most, broken_at = 0, 0
    for count, first, _ in _windows(times_us, seconds):
        most = max(most, count)
        if count > calls and not broken_at:
            broken_at = first
    return most, broken_at


def above(
    times_us: Sequence[int], seconds: float, allowed: Callable[[float], int]
) -> tuple[int, int, int] | None:
    """Return the first window that holds more than is allowed when it ends, in Unix seconds: how
    many it holds, how many are allowed, and when it ends in microseconds.
    """
    for count, _, last in _windows(times_us, seconds):
        if count > (calls := allowed(last / 1_000_000)):
            return count, calls, last
    return None


def _windows(times_us: Sequence[int], seconds: float) -> Iterator[tuple[int, int, int]]:
    """Yield, for the window that ends with each time, how many it holds, the first and the last."""
    length_us, first = round(seconds * 1_000_000), 0
    for last, time_us in enumerate(times_us):
        while times_us[first] + length_us < time_us:
            first += 1
        yield last - first + 1, times_us[first], time_us


def _connected(address: Address) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        connection.settimeout(CHECK_INTERVAL_SECONDS)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
