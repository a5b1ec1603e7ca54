"""What the witness tells about shared limits besides windows: quotas, and vendors that join."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from chaos.arrivals import regular
from chaos.history import History
from chaos.limits.buckets import MICROSECONDS, reached_by, units_us
from chaos.limits.definitions import BOUNDARY_SECONDS, LIMITS, PERIOD_SECONDS
from chaos.limits.rules import Rules, margin_seconds, rules_of
from chaos.vendors import VENDORS
from chaos.witness import Witness


def quotas(history: History, witness: Witness) -> Iterator[tuple[str, int, int, int]]:
    """Yield each limit with a quota, the most units of any period at the limiter and at the vendor,
    and how many are allowed.

    At the limiter, a period is longer by the time in which calls count in two.
    """
    for limit, definition in LIMITS.items():
        if quota := definition.get("quota"):
            arrived = regular(
                history, list(reached_by(history, rules_of(history.journal, limit).members))
            )
            starts = witness.starts_of_limit(limit)
            at_limiter = _most_in_a_period(starts, BOUNDARY_SECONDS)
            yield limit, at_limiter, _most_in_a_period(units_us(arrived), 0.0), quota["calls"]


def _most_in_a_period(times_us: Sequence[int], margin_seconds: float) -> int:
    if not times_us:
        return 0
    period, margin = round(PERIOD_SECONDS * MICROSECONDS), round(margin_seconds * MICROSECONDS)
    numbers = range(times_us[0] // period - 1, times_us[-1] // period + 2)
    return max(
        bisect_left(times_us, (number + 1) * period + margin)
        - bisect_left(times_us, number * period - margin)
        for number in numbers
    )


def uncounted(history: History, witness: Witness) -> Iterator[str]:
    """Describe the limits under which calls were permitted as if a vendor had made no calls before
    it joined.
    """
    for limit, definition in LIMITS.items():
        rules = rules_of(history.journal, limit)
        own = {slug: witness.starts(slug) for slug in rules.members if _has_log(slug)}
        if "per" not in definition:
            yield from _uncounted(limit, rules, witness.starts_of_limit(limit), own)


def _uncounted(
    limit: str, rules: Rules, starts: Sequence[int], own: Mapping[str, Sequence[int]]
) -> Iterator[str]:
    for seconds in rules.lengths():
        length_us = round((seconds + margin_seconds()) * MICROSECONDS)
        members = [_Member(times, starts) for times in own.values()]
        for index, last in enumerate(starts):
            in_log = index + 1 - bisect_left(starts, last - length_us)
            before = sum(each.outside(last - length_us, last) for each in members)
            allowed = rules.calls(seconds, last / MICROSECONDS)
            if in_log + before > allowed >= in_log:
                words = f"{in_log} calls and {before} from before a vendor joined"
                yield f"{seconds:g} s of {limit}: {words}, not {allowed}, until {last} us"
                break


class _Member:
    """A vendor that names the limit, or did."""

    def __init__(self, own: Sequence[int], starts: Sequence[int]) -> None:
        self._own, counted = own, set(starts)
        self._is_counted = [at in counted for at in own]
        self._others = [0, *accumulate(at not in counted for at in own)]

    def outside(self, first: int, last: int) -> int:
        """Return how many of its calls in this time the limit's log should hold and does not: those
        that it made before, if its latest call is in the log.
        """
        until = bisect_right(self._own, last)
        if not until or not self._is_counted[until - 1]:
            return 0
        return self._others[until] - self._others[bisect_left(self._own, first)]


def _has_log(slug: str) -> bool:
    return "rate_limits" in VENDORS[slug].fields
