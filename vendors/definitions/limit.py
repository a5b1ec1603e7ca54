"""Named limits, [limits.x] in TOML, that any number of vendors refer to."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from vendors.definitions.faults import DefinitionFaults, Faults, did_you_mean
from vendors.limits import Quota, Window, parse
from vendors.limits.quotas import PERIODS
from vendors.limits.windows import MAX_CALLS

KEYS = ("windows", "max_in_flight", "quota", "per", "arrival_margin_ms")
QUOTA_KEYS = ("calls", "period", "from", "zone", "spent")
HINTS = {"rate_limits": "Here it is called windows."}
QUOTA_HINTS = {"reset": "Say when it is reset by period and, of a month, from."}
SPENT = ("wait", "fail")
DEFAULT_MARGIN_MS = 70
MAX_MARGIN_MS = 10_000
MAX_QUOTA = 10**12  # more than any vendor sells, and exact in a script's numbers
MAX_IN_FLIGHT = MAX_CALLS
NOTHING = (
    'It limits nothing. Add windows = "10/s, 500/min", max_in_flight = 10 or '
    'quota = { calls = 5000, period = "month" }.'
)
EXAMPLE = '{ calls = 5000, period = "month" }'
PER = (
    'Must be "credential", which counts each key on its own. Or remove it: limits for each client '
    "or each value of the input are not possible."
)
TO_STOP = "To stop calls, pause the vendors that name the limit."


@dataclass(frozen=True)
class SharedLimit:
    """What a limit's table says. `per_credential`: each key of its vendors counts on its own."""

    windows: tuple[Window, ...] = ()
    max_in_flight: int | None = None
    quota: Quota | None = None
    per_credential: bool = False


def parse_limit(definition: Mapping[str, Any]) -> SharedLimit:
    """Return what a limit's table says. Raises DefinitionFaults."""
    faults = Faults()
    faults.note_unknown(definition, KEYS, "", HINTS)
    if not {"windows", "max_in_flight", "quota"} & definition.keys():
        faults.note("", NOTHING)
    margin_ms = _whole(definition, "arrival_margin_ms", (0, MAX_MARGIN_MS), faults)
    margin_seconds = (DEFAULT_MARGIN_MS if margin_ms is None else margin_ms) / 1000
    windows: tuple[Window, ...] = ()
    if "windows" in definition:
        with faults.at("windows"):
            windows = _windows(definition["windows"], margin_seconds)
    max_in_flight = _whole(definition, "max_in_flight", (1, MAX_IN_FLIGHT), faults)
    quota = _quota(definition["quota"], faults) if "quota" in definition else None
    if definition.get("per", "credential") != "credential":
        faults.note("per", PER)
    if faults:
        raise DefinitionFaults(faults)
    return SharedLimit(windows, max_in_flight, quota, per_credential="per" in definition)


def _windows(value: object, margin_seconds: float) -> tuple[Window, ...]:
    found = isinstance(value, str) and parse(value, margin_seconds=margin_seconds, to_stop=TO_STOP)
    if not found:
        raise ValueError('Must be a string, such as "10/s, 500/min, 20000/day". Or remove it.')
    return tuple(found)


def _quota(value: object, faults: Faults) -> Quota | None:
    if not isinstance(value, Mapping):
        faults.note("quota", f"Must be a table, such as {EXAMPLE}.")
        return None
    known = len(faults)
    faults.note_unknown(value, QUOTA_KEYS, "quota", QUOTA_HINTS)
    for name in ("calls", "period"):
        if name not in value:
            faults.note(f"quota.{name}", f"This key is required, as in {EXAMPLE}.")
    calls = _whole(value, "calls", (1, MAX_QUOTA), faults, "quota.")
    period = _one_of(value, "period", PERIODS, faults)
    first_day = _whole(value, "from", (1, 31), faults, "quota.")
    if "from" in value and period in ("day", "week"):
        sentence = (
            "Remove it: only a month begins on a day of your choice. A week begins on Monday."
        )
        faults.note("quota.from", sentence)
    zone = value.get("zone", "UTC")
    if sentence := _zone_fault(zone):
        faults.note("quota.zone", sentence)
    spent = _one_of(value, "spent", SPENT, faults)
    if len(faults) > known or calls is None or period is None:
        return None
    return Quota(calls, period, zone, first_day or 1, fails=spent == "fail")


def _whole(
    table: Mapping[str, Any],
    name: str,
    between: tuple[int, int],
    faults: Faults,
    path: str = "",
) -> int | None:
    value = table.get(name)
    if type(value) is int and between[0] <= value <= between[1]:
        return value
    if name in table:
        least, most = between
        faults.note(f"{path}{name}", f"Must be a whole number from {least} to {most}.")
    return None


def _one_of(
    table: Mapping[str, Any], name: str, known: tuple[str, ...], faults: Faults
) -> str | None:
    value = table.get(name)
    if isinstance(value, str) and value in known:
        return value
    if name in table:
        *others, last = (f'"{each}"' for each in known)
        faults.note(f"quota.{name}", f"Must be {', '.join(others)} or {last}.")
    return None


def _zone_fault(value: object) -> str:
    if value == "UTC" or (isinstance(value, str) and value in _zones()):
        return ""
    meant = did_you_mean(value, _zones())
    return f"{meant}Must be the name of a time zone, such as Europe/Berlin or UTC."


@cache
def _zones() -> frozenset[str]:
    # Not the machine's own: it may be another one on the next machine.
    return frozenset(available_timezones() - {"localtime", "Factory"})
