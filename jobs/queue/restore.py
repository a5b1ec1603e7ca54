"""Restores a bucket from what the rows know of its calls."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.queue.keys import BucketKeys
from jobs.queue.redis import commands, script
from vendors.limits import Window

ROUNDED_US = 999  # some stores keep milliseconds only
NOW_US = 10**16  # later than any time: as late as it can be


class Start(NamedTuple):
    """Units charged at a time, in microseconds since 1970. `latest_us`: when they may have been
    charged at the latest.
    """

    at_us: int
    latest_us: int
    units: int = 1


@dataclass(frozen=True)
class Content:
    """What a bucket holds.

    `starts`: the latest first. `members`: the vendors counted, as Bucket.member; empty for a
    vendor's own bucket. `spent`: the units in each range of the quota, by the range's name.
    `is_estimated`: whether calls in progress are among them. `is_capped`: whether the number of
    jobs in flight is limited.
    """

    windows: Sequence[Window] = ()
    starts: Sequence[Start] = ()
    in_flight: Sequence[str] = ()
    members: Sequence[str] = ()
    version: int = 0
    quota: str = ""
    spent: Mapping[str, int] = field(default_factory=dict)
    is_estimated: bool = False
    is_capped: bool = False

    def arguments(self) -> list[int | str]:
        depth = max((window.calls for window in self.windows), default=0)
        length_us = max((round(window.seconds * 1e6) for window in self.windows), default=0)
        spent = [part for name, units in self.spent.items() for part in (f"spent:{name}", units)]
        return [
            *(depth, length_us, _listed(self.members), self.version),
            *(int(self.is_capped), self.quota, int(self.is_estimated), len(self.spent), *spent),
            *(len(self.starts), *(number for start in self.starts for number in start)),
            *self.in_flight,
        ]


def restore(keys: BucketKeys, content: Content, *, token: str, streams: Sequence[str] = ()) -> bool:
    """Write the content of a bucket. Raises redis.RedisError.

    `streams`: of a vendor, if the bucket is its own. What the log of that still holds is exact, and
    stays. False: the lock that `token` holds has expired, and another worker is rebuilding.
    """
    names = [keys.log, keys.state, keys.in_flight, keys.freed, keys.rebuilder, *streams]
    args = [token, *content.arguments()]
    return bool(script("rebuild")(keys=names, args=args, client=commands()))


def mark_stale(shared: Iterable[tuple[str, int]], own: Iterable[tuple[str, int]]) -> None:
    """Stop the use of shared buckets until they are restored, each given by the key of its state
    and the version of its limit. Raises redis.RedisError.

    `own`: the same for the vendors that they count. From now on none of them is called by settings
    that do not name these limits yet.
    """
    stale, states = list(shared), [*shared, *own]
    keys, versions = [key for key, _ in states], [version for _, version in states]
    script("mark_stale")(keys=keys, args=[len(stale), *versions], client=commands())


def _listed(members: Sequence[str]) -> str:
    return f" {' '.join(members)} " if members else ""
