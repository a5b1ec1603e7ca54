"""What a snapshot of the service consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from jobs.models import BulkAction
from jobs.monitoring.history import VendorHistory
from jobs.queue.snapshot import Snapshot
from vendors.models import Vendor

Subject = tuple[str, str]  # what a problem is about: ("vendor", slug), ("worker", name)...


class VendorState(StrEnum):
    """Worst first."""

    NO_WORKER = "no_worker"  # no live worker can call it
    DOWN = "down"  # its breaker is open
    PAUSED = "paused"
    PROBING = "probing"  # its breaker lets one call, or few, through after an outage
    UNKNOWN = "unknown"  # while Redis is away
    DISABLED = "disabled"
    LIMITED = "limited"  # by its limits; as it should be
    RUNNING = "running"


class Severity(StrEnum):
    CRITICAL = "critical"  # jobs stand still, or fail, until a person acts
    WARNING = "warning"


@dataclass(frozen=True)
class WindowUse:
    """How much of a rate limit or quota is used."""

    label: str  # such as 500/min
    spent: int
    allowed: int
    bucket: str = ""  # "limit" or "limit/KEY"; '' for the vendor's own
    full_until: datetime | None = None  # when the next unit may be spent, if it is full

    @property
    def share(self) -> float:
        return self.spent / self.allowed if self.allowed else 0.0


@dataclass(frozen=True)
class VendorLine:
    """One vendor. None stands for what is not known, because Redis or the store is away."""

    vendor: Vendor
    slug: str
    state: VendorState
    sentence: str  # why it is in this state, without times; '' if it is running
    since: datetime | None = None
    until: datetime | None = None
    waiting: int | None = None  # queued jobs, including those whose next attempt is not due yet
    oldest_seconds: float | None = None  # how long the oldest entry waits; 0.0 if none does
    in_flight: int | None = None
    max_in_flight: int | None = None  # the smallest that applies to it
    calling: int | None = None
    windows: list[WindowUse] = field(default_factory=list)
    tightest: WindowUse | None = None
    done_per_minute: float = 0.0  # over five minutes
    sparkline: list[int] = field(default_factory=list)  # jobs done in each of the last 30 minutes
    calls_5min: int = 0
    errors_5min: int = 0
    failed_hour: int = 0
    p50_seconds: float | None = None  # of calls in the last five minutes
    p95_seconds: float | None = None
    samples: int = 0  # calls that the percentiles are of
    done_in_seconds: float | None = None  # until the backlog is done; None: not known
    done_in_bound: str = ""  # what it depends on, such as "the limit 500/min"


@dataclass(frozen=True)
class WorkerLine:
    """One worker. A worker that was taken over stays for an hour, as silent."""

    name: str
    host: str = ""
    version: str = ""
    is_other_version: bool = False  # not the newest of the live workers' versions
    threads: int = 0
    busy: int = 0
    per_minute: int = 0  # jobs that it recorded in the last minute
    silent_seconds: float = 0.0
    state: str = "alive"  # or silent, draining (with order drain), stopping
    started_at: datetime | None = None
    vendors: tuple[str, ...] = ()  # that it works for; (): all
    store_ms: float | None = None  # its last write to the store
    clock_ahead_seconds: float = 0.0  # how far its machine's clock is ahead of Redis'


@dataclass(frozen=True)
class RedisHealth:
    answers: bool = False
    version: str = ""
    used_bytes: int = 0
    max_bytes: int = 0  # 0: no limit
    policy: str = ""  # what it evicts; noeviction, as it should be
    commands_per_second: int = 0
    clients: int = 0
    uptime_seconds: int = 0
    milliseconds: float = 0.0  # of the round trip that asked all this


@dataclass(frozen=True)
class StoreHealth:
    answers: bool = False
    kind: str = ""  # SQLite or MongoDB
    milliseconds: float | None = None  # of a read
    write_milliseconds: float | None = None  # the slowest of the workers' last writes
    size_bytes: int | None = None


@dataclass(frozen=True)
class Figures:
    """None stands for what is not known."""

    waiting: int | None = None
    in_flight: int | None = None
    done_per_minute: float | None = None
    errors_hour: int | None = None  # calls that ended in an error, in the last hour
    errors_hour_share: float | None = None  # of all calls
    oldest_seconds: float | None = None
    workers_alive: int | None = None
    workers_seen: int | None = None  # in the last hour


@dataclass(frozen=True)
class Problem:
    """One line of "What is wrong"."""

    rule: str
    severity: Severity
    sentence: str
    since: datetime | None = None
    subject: Subject | None = None
    # What helps: resume, close_breaker, see_errors, see_jobs, see_callbacks, apply_callbacks,
    # change_limits, see_workers, see_bulk_action.
    acts: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceSnapshot:
    """The service at one moment."""

    taken_at: datetime  # by the machine's clock
    redis: Snapshot
    redis_answers: bool = False
    store_answers: bool = False
    store_ms: float | None = None
    redis_away_since: datetime | None = None  # when this process noticed
    store_away_since: datetime | None = None
    figures: Figures = field(default_factory=Figures)
    vendors: list[VendorLine] = field(default_factory=list)  # worst first, then by name
    workers: list[WorkerLine] = field(default_factory=list)
    redis_health: RedisHealth = field(default_factory=RedisHealth)
    store_health: StoreHealth = field(default_factory=StoreHealth)
    bulk_actions: list[BulkAction] = field(default_factory=list)
    # What was counted lately, by vendor; '' for what belongs to none.
    histories: Mapping[str, VendorHistory] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)  # worst first, at most 8
    hidden_problems: int = 0  # how many more there are

    def events(self, name: str) -> int:
        """Return how often something happened in the last ten minutes (jobs.tallies.count)."""
        return sum(history.events[name] for history in self.histories.values())

    def vendor(self, slug: str) -> VendorLine | None:
        return next((line for line in self.vendors if line.slug == slug), None)
