"""An independent witness of the limiter: it sees what Redis is told, and so knows when each call
was permitted.

A script charges calls by pushing their starts, in microseconds of Redis' clock, to the head of the
vendor's log, and gives a call that was not made back by removing its start. What a rebuild pushes
to the tail is made from rows, and is no call.
"""

import re
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Lock, Thread

Address = tuple[str, int] | str  # host and port, or the path of a Unix socket

CHUNK = 1 << 20
RETRY_SECONDS = 0.003
CHECK_INTERVAL_SECONDS = 0.2  # how often it looks whether it is to end
# A script's commands are marked lua. What is in an argument can't be taken for that: its quotes
# have a backslash.
MARK, MARK_ENDS = b' lua] "L', 40
CHARGE = re.compile(
    rb'\+[\d.]+ \[\d+ lua\] "(?:LPUSH|(LREM))" "enrich:\{([^}"]+)\}:log" (?:"1" )?((?:"\d+" ?)+)'
)


class Witness(Thread):
    """Watches one Redis, directly, from `start` until `close`, and comes back as quickly as Redis
    does.
    """

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
        """When it saw nothing, in unix seconds: until its first look, while Redis was away, and now
        where that is so.
        """
        since = self._blind_since
        return [*self._blind, (since, time.time())] if since else list(self._blind)

    def starts(self, vendor: str) -> list[int]:
        """Return when calls of the vendor were permitted, in microseconds of Redis' clock: charged
        and not given back.
        """
        with self._lock:
            return sorted(self._charges.get(vendor, Counter()).elements())

    def start(self) -> None:
        self._blind_since = time.time()
        super().start()

    def close(self) -> None:
        """Watch no more; what was seen stays known."""
        self._is_closed.set()
        self.join()

    def run(self) -> None:
        while not self._is_closed.wait(RETRY_SECONDS):
            with suppress(OSError):
                self._watch()
            if not self._is_closed.is_set():
                self._blind_since = self._blind_since or time.time()

    def _watch(self) -> None:
        """Watch until Redis closes the connection. Raises OSError where it is not there."""
        with _connected(self._address) as connection:
            connection.sendall(b"MONITOR\r\n")
            rest = b""
            while not self._is_closed.is_set():
                try:
                    chunk = connection.recv(CHUNK)
                except TimeoutError:
                    continue  # there is nothing to be seen, or Redis stands still
                if not chunk:
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                self._see(lines)

    def _see(self, lines: Sequence[bytes]) -> None:
        if lines and self._blind_since:
            if lines[0] != b"+OK\r":
                raise ConnectionError(f"Redis refuses to be watched: {lines[0].decode()}")
            self._blind.append((self._blind_since, time.time()))
            self._blind_since = None
        for line in lines:
            if line.find(MARK, 0, MARK_ENDS) > 0 and (charge := CHARGE.match(line)):
                for start in charge[3].split():
                    self._note(
                        charge[2].decode(), int(start.strip(b'"')), is_given_back=bool(charge[1])
                    )

    def _note(self, vendor: str, start_us: int, *, is_given_back: bool) -> None:
        with self._lock:
            charges = self._charges.setdefault(vendor, Counter())
            if not is_given_back:
                charges[start_us] += 1
            elif charges[start_us]:  # what was charged unseen is not missed
                charges[start_us] -= 1


def worst_window(times_us: Sequence[int], calls: int, seconds: float) -> tuple[int, int]:
    """Return the most of these times in any window of that length, and when the first with more
    than `calls` began (0: none).

    A window is closed: two starts exactly that far apart are in one, as jobs/queue/lua/limits.lua
    has it. Microseconds, sorted.
    """
    length_us, first, most, broken_at = round(seconds * 1_000_000), 0, 0, 0
    for last, time_us in enumerate(times_us):
        while times_us[first] + length_us < time_us:
            first += 1
        count = last - first + 1
        most = max(most, count)
        if count > calls and not broken_at:
            broken_at = times_us[first]
    return most, broken_at


def _connected(address: Address) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    try:
        connection.settimeout(CHECK_INTERVAL_SECONDS)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
