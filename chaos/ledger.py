"""The vendor's own ledger of arrivals, answers and callbacks, one line of JSON per event.

Only the vendor's process writes it. The campaign compares it with what the system recorded.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock


@dataclass(frozen=True)
class Arrival:
    """A call has arrived."""

    at: float  # Unix seconds, when its first bytes arrived
    vendor: str
    key: str  # Idempotency-Key
    number: int  # among the calls with this key, from 1
    serial: int
    mood: str
    attempt: int | None  # named by the callback URL's token
    caller: str = ""  # IP address
    api_key: str = ""  # the name of the key in its header


@dataclass(frozen=True)
class Answered:
    """The vendor has finished answering a call."""

    at: float  # Unix seconds
    vendor: str
    key: str
    number: int
    status: int | None  # None if there was no response
    whole: bool  # the full response was sent without an error
    charged: bool  # the vendor did the work


@dataclass(frozen=True)
class Callback:
    """One POST of a callback."""

    at: float  # Unix seconds, when it was answered or failed
    vendor: str
    key: str
    number: int
    kind: str  # genuine, garbage, or forged_*
    status: int | str  # or the name of the exception


@dataclass(frozen=True)
class Poll:
    """A poll has arrived."""

    at: float  # Unix seconds, when its first bytes arrived
    vendor: str
    key: str  # of the call that it is about, as the next one
    number: int
    poll: int  # among the polls for that call, from 1
    mood: str
    caller: str = ""  # IP address
    api_key: str = ""  # the name of the key in its header


@dataclass(frozen=True)
class Polled:
    """The vendor has finished answering a poll."""

    at: float  # Unix seconds
    vendor: str
    key: str
    number: int
    poll: int
    said: str  # the state, or the mood
    whole: bool


Event = Arrival | Answered | Callback | Poll | Polled
KINDS: dict[str, type[Event]] = {
    "arrival": Arrival,
    "answered": Answered,
    "callback": Callback,
    "poll": Poll,
    "polled": Polled,
}
NAMES = {kind: name for name, kind in KINDS.items()}


class Ledger:
    """Appends events to a file from any thread. An event is written out when `write` returns."""

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
    """Yield the events in the order they were written, without an incomplete last line."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                fields = json.loads(line)
                yield KINDS[fields.pop("event")](**fields)
