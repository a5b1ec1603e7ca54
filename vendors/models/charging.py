"""Whether a vendor's calls can be charged to the limits that it names."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from vendors import limits
from vendors.definitions.charging import charging_faults
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.limit import SharedLimit
from vendors.models.limit import Limit

NEEDS_CREDENTIAL = (
    "The limit {0!r} counts each key on its own, and this vendor has no credential. Name one as "
    '`credential`, or remove per = "credential" from [limits.{0}].'
)


class Charged(Protocol):
    """What is validated: a vendor."""

    @property
    def definition(self) -> Any: ...
    @property
    def rate_limits(self) -> str: ...
    @property
    def named_limits(self) -> Mapping[str, Limit]: ...


def faults_of_charging(vendor: Charged) -> Iterator[tuple[str, str]]:
    """Yield a sentence for each faulty key, as in DefinitionFaults."""
    definition = vendor.definition
    faults = dict(charging_faults(definition))
    yield from faults.items()
    if faults:
        return
    known = vendor.named_limits
    rules = dict(_rules(known))
    for index, name in enumerate(definition.get("limits", [])):
        key = f"limits[{index}]"
        if name not in known:
            yield key, f"There is no limit {name!r}. Add it first, or to the same file."
        elif name in rules and rules[name].per_credential and not definition.get("credential"):
            yield key, NEEDS_CREDENTIAL.format(name)
    yield from _too_heavy(vendor, rules)


def _rules(known: Mapping[str, Limit]) -> Iterator[tuple[str, SharedLimit]]:
    """Yield what the limits say. One with faults is refused itself."""
    for name, limit in known.items():
        with suppress(DefinitionFaults):
            yield name, limit.rules


def _too_heavy(vendor: Charged, rules: Mapping[str, SharedLimit]) -> Iterator[tuple[str, str]]:
    """Yield the weights that no window would ever permit."""
    rooms = sorted(_rooms(vendor, rules))
    for key, weight in _weights(vendor).items():
        if rooms and weight > rooms[0][0]:
            most, what = rooms[0]
            remedy = f"It is {weight}: lower it, or raise {what}."
            yield key, f"Must be at most {most}, because {what} never allows more. {remedy}"


def _weights(vendor: Charged) -> dict[str, int]:
    poll = vendor.definition.get("poll")
    weights = {"weight": vendor.definition.get("weight", 1)}
    if isinstance(poll, Mapping):
        weights["poll.weight"] = poll.get("weight", 1)
    return weights


def rate_limits_refusal(vendor: Charged) -> str:
    """Return why its rate limits would never permit a call or poll; '' if they would."""
    if dict(charging_faults(vendor.definition)):
        return ""  # which says what is wrong with the weights
    key, weight = max(_weights(vendor).items(), key=lambda item: item[1])
    fewest = min((window.calls for window in limits.parse(vendor.rate_limits)), default=weight)
    if weight <= fewest:
        return ""
    return f"Each limit must allow at least {weight} calls, because {key} is {weight}."


def _rooms(vendor: Charged, rules: Mapping[str, SharedLimit]) -> Iterator[tuple[int, str]]:
    """Yield how many units each window and quota allows, and what it is called."""
    with suppress(ValueError):
        for window in limits.parse(vendor.rate_limits):
            yield window.calls, "rate_limits"
    for name, each in rules.items():
        for window in each.windows:
            yield window.calls, f"the limit {name!r}"
        if each.quota:
            yield each.quota.calls, f"the quota of the limit {name!r}"
