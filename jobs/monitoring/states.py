"""The state of a vendor in a word and a sentence: what holds it, since when, and until when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.monitoring.facts import VendorState, WindowUse
from jobs.queue.held.hold import Hold, Kind
from jobs.queue.snapshot import Snapshot, VendorSnapshot
from vendors.models import Vendor

ENOUGH = 1000  # characters of a sentence
NOT_KNOWN = "Breaker and limits in use are not known while Redis is away."
NO_WORKER = "No live worker calls it."
BY_LIMITS = (Kind.LIMIT, Kind.QUOTA, Kind.IN_FLIGHT)


@dataclass(frozen=True)
class State:
    state: VendorState = VendorState.RUNNING
    sentence: str = ""
    since: datetime | None = None
    until: datetime | None = None


def state_of(
    vendor: Vendor, redis: Snapshot, tightest: WindowUse | None, unusable: Mapping[str, str]
) -> State:
    """Return what a vendor's jobs meet now. `unusable`: why no worker can call a vendor."""
    held = redis.vendors.get(vendor.slug)
    if vendor.is_paused(redis.now):
        return _paused(vendor)
    if held and held.hold and held.hold.kind == Kind.WORKER:
        return State(VendorState.NO_WORKER, unusable.get(vendor.slug) or NO_WORKER)
    found = (_broken(held, redis.now) or _held(held, tightest)) if held else None
    if not vendor.enabled and (found is None or found.state == VendorState.LIMITED):
        return State(VendorState.DISABLED, "It accepts no new jobs. Accepted jobs still run.")
    if held is None:
        return State(VendorState.UNKNOWN, NOT_KNOWN)
    return found or State()


def _paused(vendor: Vendor) -> State:
    reason = vendor.pause_reason[:ENOUGH]
    if vendor.paused_by:
        sentence = f"Paused by {vendor.paused_by}" + (f": {reason}" if reason else ".")
    else:
        sentence = reason or "Paused."
    until = None if vendor.paused else vendor.paused_until
    return State(VendorState.PAUSED, sentence, vendor.paused_at, until)


def _broken(held: VendorSnapshot, now: datetime) -> State | None:
    """Return the state of a vendor with an open breaker, or one that has just closed."""
    opened = held.breaker
    if opened is None:
        recovers = held.hold and held.hold.kind == Kind.BREAKER
        sentence = "It answers again. Few calls at once are made until it has proved to be well."
        return State(VendorState.PROBING, sentence) if recovers else None
    code = f" ({opened.code})" if opened.code else ""
    why = "It throttles us" if opened.is_throttled else f"Its calls fail{code}"
    if opened.is_probing or opened.next_probe <= now:
        sentence = f"{why}. One call probes whether it answers again."
        return State(VendorState.PROBING, sentence, opened.since)
    sentence = f"{why}: its breaker is open."
    return State(VendorState.DOWN, sentence, opened.since, opened.next_probe)


def _held(held: VendorSnapshot, tightest: WindowUse | None) -> State | None:
    hold = held.hold
    if hold and hold.kind in (Kind.PAUSE, Kind.CREDENTIAL):
        return State(VendorState.PAUSED, hold.message, until=hold.until)
    if hold and held.queued and hold.kind in BY_LIMITS:
        return State(VendorState.LIMITED, _limit(hold, tightest), until=hold.until)
    return None


def _limit(hold: Hold, tightest: WindowUse | None) -> str:
    name = f" of the limit {hold.name}" if hold.name else ""
    if hold.kind == Kind.IN_FLIGHT:
        return f"All slots for jobs in flight{name} are taken."
    if hold.kind == Kind.QUOTA:
        return f"The quota{name} is spent."
    return f"Limited by {tightest.label}{name}." if tightest else f"Limited by its rate{name}."
