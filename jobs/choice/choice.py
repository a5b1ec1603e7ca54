"""A choice of jobs, and its query."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Self

from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django.utils.http import urlencode

from jobs.api.pagination import first_id_at
from jobs.choice import indexes, parameters, words
from jobs.choice.search import is_id, search
from jobs.models import IN_FLIGHT, OPEN, Job, Status


@dataclass(frozen=True)
class Choice:
    """Which jobs. An empty field does not restrict; `created_before` is exclusive.

    `created` (today, hour, day, week), `ended` (the same without today) and `waiting_over` are
    relative to the time of the query. A job waits longer than that if it has been queued, or
    started, for longer. `q`: a full id, a reference, or the beginning of a name.
    """

    ids: tuple[str, ...] = ()
    status: str = ""
    vendor: str = ""
    error_code: str = ""
    client: str = ""
    batch: str = ""
    reference: str = ""
    bulk: str = ""  # the bulk action that moved them last
    q: str = ""
    created: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None
    ended: str = ""
    ended_after: datetime | None = None
    waiting_over: timedelta | None = None
    waiting_since: datetime | None = None  # what `fixed` makes of waiting_over
    reruns: bool = False  # only those that were retried by a person or a client
    by_name: bool = True  # whether `q` may be a name; not in a URL
    zone: tzinfo = UTC  # whose day is today; not in a URL

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        """Return the choice in a URL. Raises ChoiceError, also for an error in one filter alone.
        Other parameters are left alone.
        """
        return cls(**parameters.read(query))

    def as_query(self, **changes: Any) -> str:
        """Return it as the query of a URL, with changed fields."""
        # Today is another time for another reader.
        chosen = self.fixed() if self.created == parameters.TODAY else self
        return urlencode(parameters.write({**_fields(chosen), **changes}))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        query = QueryDict(mutable=True)
        for name, each in value.items():
            query.setlist(name, each if isinstance(each, list) else [each])
        return cls.from_query(query)

    def as_json(self, now: datetime | None = None) -> dict[str, Any]:
        """Return it as of now (see `fixed`), to be stored. Raises ValueError for one that searches
        by name: personal data is not kept beside the job.
        """
        if self.searches_names:
            raise ValueError("A search by name can't be stored. Choose the jobs by a filter.")
        fixed: dict[str, Any] = dict(parameters.write(_fields(self.fixed(now))))
        return {**fixed, "id": list(self.ids)} if self.ids else fixed

    def fixed(self, now: datetime | None = None) -> Self:
        """Return the choice with absolute times instead of those relative to now."""
        now = now or timezone.now()
        since = self.waiting_since
        if self.waiting_over:
            since = min(filter(None, (since, now - self.waiting_over)))
        return replace(
            self,
            created="",
            created_after=self._after(self.created, self.created_after, now),
            ended="",
            ended_after=self._after(self.ended, self.ended_after, now),
            waiting_over=None,
            waiting_since=since,
        )

    def _after(self, span: str, after: datetime | None, now: datetime) -> datetime | None:
        """Return the later of a time and the beginning of a span until now."""
        if not span:
            return after
        if span == parameters.TODAY:
            began = now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0)
        else:
            began = now - parameters.SPANS[span]
        return max(after, began) if after else began

    @property
    def is_all(self) -> bool:
        """Whether it restricts nothing."""
        return not parameters.write(_fields(self))

    @property
    def searches_names(self) -> bool:
        return bool(self.q) and not is_id(self.q)

    def in_words(self) -> str:
        """Return, for example, `failed jobs of acme with the error timeout`."""
        return words.of(self)

    def jobs(self, now: datetime | None = None) -> QuerySet[Job]:
        """Return the jobs that match, unordered, without their large columns. Conditions of
        partial indexes are repeated. In order of ids (or of `batch_index`, if the jobs of a batch
        are chosen), an index gives the jobs of `leading`; the others are left out row by row.
        """
        return self._restrict(self.leading(now), self.fixed(now))

    def leading(self, now: datetime | None = None) -> QuerySet[Job]:
        """Return the jobs that match as far as one index tells. It is a superset of `jobs`."""
        fixed = self.fixed(now)
        jobs = Job.objects.defer("input", "result", "metadata")
        jobs = jobs.filter(**fixed._bounds())
        if self.error_code and self.status not in ("", Status.FAILED):
            return jobs.none()
        indexed = self._indexed()
        for name, value in indexed.items():
            jobs = indexes.having(jobs, name, value)
        if "reference" in indexed and "client" not in indexed:
            jobs = indexes.of_any_client(jobs)
        if self._waits and not self.status:
            jobs = jobs.filter(status__in=OPEN)
        return search(jobs, self.q, by_name=self.by_name) if self.q else jobs

    def parts(self) -> list[Self]:
        """Return choices that have no job in common and together choose the same: each is read in
        order of ids. SQLite would sort the jobs of several statuses.
        """
        if self._waits and not self.status:
            return [replace(self, status=status) for status in OPEN]
        return [self]

    @property
    def _waits(self) -> bool:
        return bool(self.waiting_over or self.waiting_since)

    @property
    def has_own_index(self) -> bool:
        """Whether an index tells all of it, so that no job is read that does not match. The jobs of
        a batch are few enough.
        """
        return bool(self.ids or self.batch or self.q or self.reference) or not self._others()

    def _bounds(self) -> dict[str, Any]:
        """Return the conditions on ids, which tell when a job was created."""
        before = self.created_before
        if self.waiting_since:  # a job is queued after it is created
            before = min(filter(None, (before, self.waiting_since)))
        bounds = {
            "pk__in": self.ids,
            "pk__gte": self.created_after and first_id_at(self.created_after),
            "pk__lt": before and first_id_at(before),
        }
        return {name: value for name, value in bounds.items() if value}

    def _chosen(self) -> dict[str, str]:
        chosen = {name: getattr(self, name) for name in indexes.FIELDS if getattr(self, name)}
        if self.error_code:
            chosen.pop("status", None)  # only failed jobs have one
        return chosen

    def _indexed(self) -> dict[str, str]:
        chosen = self._chosen()
        names = () if self.ids or self.q else indexes.leading(chosen)
        return {name: chosen[name] for name in names}

    def _others(self) -> dict[str, str]:
        indexed = self._indexed()
        others = {name: it for name, it in self._chosen().items() if name not in indexed}
        ended = bool(self.ended or self.ended_after)
        more = {"waiting": self._waits, "reruns": self.reruns, "ended": ended}
        return others | {name: "1" for name, chosen in more.items() if chosen}

    def _restrict(self, jobs: QuerySet[Job], fixed: Self) -> QuerySet[Job]:
        """Return those of the leading jobs that match entirely."""
        indexed = self._indexed()
        others = {name: it for name, it in self._chosen().items() if name not in indexed}
        jobs = indexes.unindexed(jobs, others)
        if self.reruns:
            jobs = jobs.filter(run__gt=1)
        if fixed.ended_after:
            jobs = jobs.filter(finished_at__gte=fixed.ended_after)
        if since := fixed.waiting_since:
            jobs = jobs.filter(_waits_since(self.status, since))
        return jobs


def _fields(choice: Choice) -> dict[str, Any]:
    return {field.name: getattr(choice, field.name) for field in fields(choice)}


def _waits_since(status: str, since: datetime) -> Q:
    """Return the condition that a job has been queued, called or waiting since then."""
    queued, started = Q(queued_at__lt=since), Q(started_at__lt=since)
    if status == Status.QUEUED:
        return queued
    if status in IN_FLIGHT:
        return started
    if status:
        return Q(status__in=())
    return (queued & Q(status=Status.QUEUED)) | (started & Q(status__in=IN_FLIGHT))
