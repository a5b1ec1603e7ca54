"""What a change of a vendor's limits would do, in sentences: to its backlog, and to the vendor."""

from collections import Counter
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
class Wait:
    """In how many seconds the backlog is called at the earliest, and what allows no sooner."""

    seconds: float = 0.0
    bound: str = ""


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


def wait_of(jobs: int, vendor: Vendor, line: VendorLine | None) -> Wait:
    """Return how long the limits of a vendor keep so many jobs, given the calls that count now."""
    units, counted_now = jobs * vendor.weight, _counting(line)
    waits = [Wait()]
    for window in parse(vendor.rate_limits):
        spent = counted_now.get(window.seconds, 0)
        waits.append(Wait(_seconds(units, window, spent), label_of(window)))
    for name, window, spent in _shared(vendor, line):
        waits.append(Wait(_seconds(units, window, spent), f"the limit {name}"))
    held_seconds = _held_seconds(line)
    cap, in_flight = vendor.max_in_flight, (line and line.in_flight) or 0
    if cap and held_seconds and jobs > cap - in_flight:
        waits.append(Wait(jobs * held_seconds / cap, f"{cap:,} in flight"))
    return max(waits, key=lambda wait: wait.seconds)


def _seconds(units: int, window: Window, spent: int) -> float:
    """Return when a window allows the last of these units. Those that count in it are taken to have
    been spent evenly over its period, at the end of which the last of them is past.
    """
    missing = units + spent - window.calls
    if missing <= 0:
        return 0.0
    if missing <= spent:
        return missing / spent * window.seconds
    return window.seconds * (1 + (missing - spent) / window.calls)


def _counting(line: VendorLine | None) -> dict[float, int]:
    """Return how many units count now in the vendor's own windows, by their seconds."""
    own = [use for use in line.windows if not use.bucket] if line else []
    return {parse(use.label)[0].seconds: use.spent for use in own}


def _shared(vendor: Vendor, line: VendorLine | None) -> Iterator[tuple[str, Window, int]]:
    """Yield the windows of the limits that it shares with others, and what counts in them; those
    of each key together.
    """
    keys = len(vendor.credential.key_names) if vendor.credential else 1
    spent = Counter[tuple[str, str]]()
    for use in line.windows if line else ():
        spent[use.bucket.partition("/")[0], use.label] += use.spent
    for name, limit in vendor.named_limits.items():
        with suppress(ValueError):
            rules = limit.rules
            times = keys if rules.per_credential else 1
            for each in rules.windows:
                window = Window(each.calls * times, each.seconds)
                yield name, window, spent[name, label_of(each)]


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
    before, after = (wait_of(line.waiting, each, line) for each in (stored, changed))
    jobs = counted(line.waiting, "job")
    now = f"With the limits as they are: {_done_in(before)}."
    if after.seconds:
        yield f"The backlog of {jobs} takes {_done_in(after)}, bound by {after.bound}. {now}"
    else:
        yield f"The backlog of {jobs} is called {UNLIMITED}: no limit holds it. {now}"


def _done_in(wait: Wait) -> str:
    return f"about {words_of(max(1.0, wait.seconds))}" if wait.seconds else UNLIMITED


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
    counted_now = _counting(line)
    for window in parse(changed.rate_limits):
        count = counted_now.get(window.seconds, 0)
        if count > window.calls:
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
