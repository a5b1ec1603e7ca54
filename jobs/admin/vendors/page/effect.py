"""What a change of a vendor's limits would do, in sentences: to its backlog, and to the vendor."""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from jobs.admin.formats import counted
from jobs.admin.page.texts import words_of
from jobs.monitoring.facts import VendorLine
from jobs.monitoring.windows import label_of
from vendors.limits import Window, parse
from vendors.limits.windows import SECONDS
from vendors.models import Vendor

MUCH_MORE = 10  # times as much as before: more likely a slip than a decision
NOUNS = {"s": "second", "min": "minute", "h": "hour", "day": "day"}
UNLIMITED = "as fast as the workers can"


@dataclass(frozen=True)
class Pace:
    """How many calls a second may start at most, and what allows no more. None: nothing does."""

    per_second: float | None
    bound: str


def effect(stored: Vendor, changed: Vendor, line: VendorLine | None) -> list[str]:
    """Return what would change, in sentences. `line`: what the vendor does now, if it is known."""
    return [
        *_backlog(stored, changed, line),
        *_seen_by_the_vendor(stored, changed),
        *_at_once(stored, changed, line),
        *_stops(changed, line),
        *_queue(stored, changed, line),
        *_margin(stored, changed),
    ]


def is_much_more(stored: Vendor, changed: Vendor) -> bool:
    """Whether a limit would be lifted, or be ten times as high as before."""
    old, new = (parse(each.rate_limits) for each in (stored, changed))
    pairs: list[tuple[float | None, float | None]] = [
        (_per_second(old), _per_second(new)),
        (stored.max_in_flight, changed.max_in_flight),
    ]
    by_period = {window.seconds: window.calls for window in new}
    pairs += [(window.calls, by_period.get(window.seconds, window.calls)) for window in old]
    return any(_exceeds(before, after) for before, after in pairs)


def _exceeds(old: float | None, new: float | None) -> bool:
    if old is None:
        return False
    return new is None or new >= MUCH_MORE * old


def pace_of(vendor: Vendor, line: VendorLine | None) -> Pace:
    """Return how fast its limits let the vendor be called."""
    weight, found = vendor.weight, []
    for window in parse(vendor.rate_limits):
        found.append(Pace(window.calls / window.seconds / weight, label_of(window)))
    for name, windows in _shared(vendor):
        rates = (Pace(each.calls / each.seconds / weight, f"the limit {name}") for each in windows)
        found.extend(rates)
    held_seconds = _held_seconds(line)
    if vendor.max_in_flight and held_seconds:
        bound = f"{vendor.max_in_flight:,} in flight"
        found.append(Pace(vendor.max_in_flight / held_seconds, bound))
    return min(found, key=lambda pace: pace.per_second or math.inf, default=Pace(None, ""))


def _shared(vendor: Vendor) -> Iterator[tuple[str, list[Window]]]:
    """Yield the windows of the limits that it shares with others; those of each key together."""
    keys = len(vendor.credential.key_names) if vendor.credential else 1
    for name, limit in vendor.named_limits.items():
        with suppress(ValueError):
            rules = limit.rules
            times = keys if rules.per_credential else 1
            yield name, [Window(each.calls * times, each.seconds) for each in rules.windows]


def _held_seconds(line: VendorLine | None) -> float | None:
    """Return how long a job occupies its place in flight, on average."""
    if line is None:
        return None
    if line.in_flight and line.done_per_minute:
        return line.in_flight / line.done_per_minute * 60
    return line.p50_seconds


def _backlog(stored: Vendor, changed: Vendor, line: VendorLine | None) -> Iterator[str]:
    if line is None or line.waiting is None:
        yield "How many jobs wait is not known now: Redis does not answer."
        return
    if not line.waiting:
        yield "No job waits, so that there is no backlog to get through."
        return
    before, after = (_done_in(line.waiting, pace_of(each, line)) for each in (stored, changed))
    pace = pace_of(changed, line)
    bound = f", bound by {pace.bound}" if pace.bound else ""
    jobs = counted(line.waiting, "job")
    yield f"The backlog of {jobs} takes {after}{bound}. With the limits as they are: {before}."


def _done_in(waiting: int, pace: Pace) -> str:
    if pace.per_second is None:
        return UNLIMITED
    return f"about {words_of(max(1.0, waiting / pace.per_second))}"


def _seen_by_the_vendor(stored: Vendor, changed: Vendor) -> Iterator[str]:
    windows = parse(changed.rate_limits)
    if not windows and stored.rate_limits:
        yield "The vendor will see as many calls as the workers can make."
    weight = changed.weight
    for window in windows:
        unit, count = _period(window)
        period = NOUNS[unit] if count == 1 else f"{count} {NOUNS[unit]}s"
        calls = counted(window.calls // weight, "call")
        units = f" ({window.calls:,} units, {weight} a call)" if weight > 1 else ""
        yield f"The vendor will see at most {calls} in any {period}{units}."


def _at_once(stored: Vendor, changed: Vendor, line: VendorLine | None) -> Iterator[str]:
    cap = changed.max_in_flight
    if cap == stored.max_in_flight:
        return
    if cap is None:
        yield "Any number of jobs may be called, or wait for an answer, at once."
        return
    yield f"At most {counted(cap, 'job')} will be called, or wait for an answer, at once."
    if line and line.in_flight and line.in_flight > cap:
        yield f"{line.in_flight:,} are in flight now: no call starts until fewer than {cap:,} are."


def _stops(changed: Vendor, line: VendorLine | None) -> Iterator[str]:
    """Yield which windows are full at once, because more calls count in them than they allow."""
    spent = {use.label: use.spent for use in line.windows if not use.bucket} if line else {}
    known = {label_of(window).partition("/")[2]: window for window in parse(changed.rate_limits)}
    for name, count in spent.items():
        window = known.get(name.partition("/")[2])
        if window and count > window.calls:
            wait = words_of(window.seconds)
            yield (
                f"{count:,} calls already count where {label_of(window)} would allow "
                f"{window.calls:,}: no call starts until enough of them are past, for {wait} at "
                "most."
            )


def _queue(stored: Vendor, changed: Vendor, line: VendorLine | None) -> Iterator[str]:
    most = changed.max_queued
    if most == stored.max_queued:
        return
    if most is None:
        yield "Any number of jobs may wait."
        return
    waiting = line.waiting if line else None
    if waiting and waiting >= most:
        yield f"{waiting:,} jobs wait already: new ones are refused at once, with queue_full."
    else:
        yield f"New jobs are refused with queue_full once {most:,} wait."


def _margin(stored: Vendor, changed: Vendor) -> Iterator[str]:
    margin = changed.arrival_margin_ms
    if margin == stored.arrival_margin_ms:
        return
    if margin == 0:
        yield "Without a margin, the vendor may count more calls than its limits allow."
    else:
        yield (
            f"The vendor counts no more than its limits allow as long as calls arrive at most "
            f"{margin:,} ms apart from when they were sent."
        )


def _per_second(windows: Iterable[Window]) -> float | None:
    return min((window.calls / window.seconds for window in windows), default=None)


def _period(window: Window) -> tuple[str, int]:
    """Return the largest unit of which its period is a multiple, and how often."""
    seconds = round(window.seconds)
    unit, size = next((u, s) for u, s in reversed(SECONDS.items()) if seconds % s == 0)
    return unit, seconds // size
