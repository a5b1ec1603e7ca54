"""The vendor's own ledger: what came, how it was answered and what was called back, one line of
JSON for each event.

It is kept by the vendor's process alone, and the campaign holds it against what the system says of
itself.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock


@dataclass(frozen=True)
class Arrival:
    """A call has come."""

    at: float  # unix seconds, when its head had begun to come
    vendor: str
    key: str  # its Idempotency-Key
    number: int  # among the calls with this key, from 1
    serial: int
    mood: str
    attempt: int | None  # that the callback URL's token names
    caller: str = ""  # the address that it came from


@dataclass(frozen=True)
class Answered:
    """The vendor is done with answering it."""

    at: float  # unix seconds
    vendor: str
    key: str
    number: int
    status: int | None  # None where not even that was sent
    whole: bool  # all that it had to say went out without an error
    good: bool  # it did the work, and charges for it


@dataclass(frozen=True)
class Callback:
    """A callback was posted, once."""

    at: float  # unix seconds, when it had been answered or had failed
    vendor: str
    key: str
    number: int
    kind: str  # genuine, garbage or forged_...
    status: int | str  # or the name of the exception


Event = Arrival | Answered | Callback
KINDS: dict[str, type[Event]] = {"arrival": Arrival, "answered": Answered, "callback": Callback}
NAMES = {kind: name for name, kind in KINDS.items()}


class Ledger:
    """Appends events to a file, from any thread; each is out of the process when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._file = path.open("ab", buffering=0)

    def write(self, event: Event) -> None:
        line = json.dumps({"event": NAMES[type(event)], **asdict(event)}).encode() + b"\n"
        with self._lock:
            self._file.write(line)

    def close(self) -> None:
        self._file.close()


def read_ledger(path: Path) -> Iterator[Event]:
    """Return the events in the order in which they were written; a last line that is not yet whole
    is left out.
    """
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                fields = json.loads(line)
                yield KINDS[fields.pop("event")](**fields)
