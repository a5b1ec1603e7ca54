"""Takes the items of one request into a batch, chunk by chunk (docs/decisions/0028-batches.md).

An item is known by its batch and its index. Whether it is new is decided by the store, not by what
was read before: the unique index over both lets one of several uploads insert it. Whoever loses
reads the winner, and compares.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import OperationalError

from clients.directory import Caller
from jobs import batches
from jobs.api import idempotency, intake, retry_after
from jobs.api.access import slots
from jobs.api.batches import current
from jobs.api.batches.posting import refusals
from jobs.api.batches.posting.items import Item
from jobs.api.batches.posting.present import Present, drop_overruled, read_present
from jobs.api.input.job import new_job, require_its_vendor, require_room
from jobs.api.problems import Problem
from jobs.models import Batch, Job, RefusedItem, State
from jobs.queue.backlog import backlog
from jobs.queue.clock import redis_clock
from jobs.storage import bulk_writes, store
from jobs.storage.lookup import Lookup
from jobs.storage.store import STORE_ERRORS, refuses, writing

log = logging.getLogger(__name__)

FOUND = Lookup(Batch, "id", "state", "reference", owner="client", by="idempotency_key")


@dataclass
class Chunk:
    """Items, and what becomes of them."""

    jobs: list[Job] = field(default_factory=list)  # to be stored
    refused: list[RefusedItem] = field(default_factory=list)  # to be stored
    # All that are refused, with those that only this answer tells of.
    refusals: list[RefusedItem] = field(default_factory=list)


class Receiver:
    """One request's way into a batch, which is stored with its first items."""

    def __init__(self, caller: Caller, reference: str, key: str | None) -> None:
        self.batch = Batch.new(caller.client, reference, key)
        self.is_stored = False
        self.was_sealed = False  # before this request
        self.received = 0
        self.refused = 0
        self.unknown = 0  # of those refused: items that the batch does not have
        self.refusals: list[RefusedItem] = []  # the first of them
        self.last_jobs: dict[str, Job] = {}  # the last new one of each vendor
        self.caller = caller
        self._has_items = False  # whether some items may be stored already
        self._references: dict[bytes, int] = {}  # digest to index

    @property
    def is_sealed(self) -> bool:
        return self.batch.state != State.RECEIVING

    def find(self) -> bool:
        """Continue the client's batch with this key, if there is one. Returns whether there is.
        Raises Problem if it has another reference, or jobs for vendors of which the caller may not
        know.
        """
        key = self.batch.idempotency_key
        row = FOUND.find_durable(key, self.batch.client) if key else None
        if row is None:
            return False
        if row["reference"] != self.batch.reference:
            raise Problem(
                "idempotency_key_reused",
                422,
                "This Idempotency-Key was used for a batch with another reference. Send a new key, "
                "or the same reference as the first time.",
            )
        self.batch.pk, self.batch.state = row["id"], row["state"]
        if not current.only_for([self.batch], self.caller.vendors):
            raise Problem(
                "vendor_not_allowed",
                403,
                "This Idempotency-Key was used for a batch whose jobs are for other vendors than "
                "those that this API key can be used for.",
            )
        self.is_stored = self._has_items = True
        return True

    def take(self, items: Sequence[Item], *, seals: bool) -> None:
        """Take consecutive items, the last ones if `seals`. Raises Problem, with nothing done, if a
        vendor's queue is full; DatabaseError if the store does not take them.
        """
        try:
            self._take(items, seals=seals)
        except STORE_ERRORS as error:
            if not refuses(error):
                raise
            self._has_items = True  # without transactions, some of them
            self._take_apart(items, error, seals=seals)

    def _take_apart(self, items: Sequence[Item], error: Exception, *, seals: bool) -> None:
        """The store refuses one of the items: take the others, and refuse this one."""
        if len(items) > 1:
            middle = len(items) // 2
            self.take(items[:middle], seals=False)
            self.take(items[middle:], seals=seals)
        elif items and items[0].problem is not refusals.NOT_STORED:
            # Not the store's own message, which may repeat the row.
            reason, where = type(error.__cause__ or error).__name__, (self.batch.pk, items[0].index)
            log.error("The store refuses item %s of batch %s (%s).", *reversed(where), reason)
            items[0].problem = refusals.NOT_STORED
            self.take(items, seals=seals)
        else:
            raise error

    def _take(self, items: Sequence[Item], *, seals: bool) -> None:
        give_up_at = time.monotonic() + store.seconds_left()
        while True:
            chunk = self._compared(items)
            if self._store(chunk, items, seals=seals):
                break
            if time.monotonic() >= give_up_at:
                raise OperationalError("Other uploads of this batch were not confirmed in time.")
        self.received += len(items)
        self.refused += len(chunk.refusals)
        unknown = (refusals.REUSED.code, refusals.SEALED.code)
        self.unknown += sum(each.code in unknown for each in chunk.refusals)
        self.refusals += chunk.refusals[: refusals.MAX_SHOWN - len(self.refusals)]
        self.last_jobs |= {job.vendor: job for job in chunk.jobs}

    def _compared(self, items: Sequence[Item]) -> Chunk:
        """Compare items with those that the batch has, and make rows of the others."""
        may_be_present = self._has_items or self.is_sealed  # by another request, with its items
        present = read_present(self.batch.pk, items) if may_be_present else {}
        chunk = Chunk()
        with slots.computing:
            for item in items:
                if found := present.get(item.index):
                    self._compare(item, found, chunk)
                elif self.is_sealed:
                    chunk.refusals.append(self._refusal(item, refusals.SEALED))
                else:
                    self._make(item, chunk)
        for vendor in {job.vendor for job in chunk.jobs}:
            require_room(vendor, f"The queue of the vendor {vendor}")
        return chunk

    def _compare(self, item: Item, found: Present, chunk: Chunk) -> None:
        self._earlier(found.reference or item.reference, item.index)
        if found.fingerprint != item.fingerprint:
            chunk.refusals.append(self._refusal(item, refusals.REUSED))
        elif found.refusal:
            chunk.refusals.append(found.refusal)

    def _make(self, item: Item, chunk: Chunk) -> None:
        try:
            chunk.jobs.append(self._job(item))
        except Problem as problem:
            refused = self._refusal(item, problem)
            chunk.refused.append(refused)
            chunk.refusals.append(refused)

    def _job(self, item: Item) -> Job:
        earlier = self._earlier(item.reference, item.index)
        if item.problem or item.body is None:
            raise item.problem or refusals.NOT_STORED
        require_its_vendor(item.body, self.caller)
        job = new_job(item.body, self.caller)
        if earlier != item.index:
            raise refusals.duplicate_reference(item.index, earlier)
        job.batch, job.batch_index = self.batch.pk, item.index
        job.fingerprint = item.fingerprint
        return job

    def _earlier(self, reference: str, index: int) -> int:
        """Return the first item with this reference, which may be this one."""
        if not reference:
            return index
        digest = hashlib.blake2b(reference.encode(), digest_size=16).digest()
        return self._references.setdefault(digest, index)

    def _refusal(self, item: Item, problem: Problem) -> RefusedItem:
        return refusals.refusal(self.batch.pk, item, problem)

    def _store(self, chunk: Chunk, items: Sequence[Item], *, seals: bool) -> bool:
        """Store the new items in one commit. Returns False if another request was first with the
        batch, its seal, or one of the items: then they must be compared again.
        """
        if self.is_sealed or not (chunk.jobs or chunk.refused or seals):
            return True
        with writing():
            if not self._begin():
                return False
            are_stored = intake.insert(chunk.jobs) if chunk.jobs else []
            if chunk.refused:
                bulk_writes.insert_each(chunk.refused)
            is_alone = self.batch.idempotency_key is None
            is_overruled = not is_alone and items and drop_overruled(self.batch.pk, items)
            state = self._end(seals=seals, has_new_jobs=bool(chunk.jobs))
        self.is_stored, self.batch.state = True, state
        intake.offer(chunk.jobs, are_stored)
        if not all(are_stored) or is_overruled:
            self._has_items = True
            return False
        if chunk.jobs:
            backlog.forget()  # its own jobs count when the next chunk asks whether there is room
        return True

    def _begin(self) -> bool:
        """Write the batch, or that it receives. Returns False if that is not so any more."""
        if not self.is_stored:
            if batches.create(self.batch):
                return True
            if not self.find():  # MongoDB has not yet confirmed it
                time.sleep(idempotency.PAUSE_SECONDS)
            return False
        if batches.receive(self.batch.pk, redis_clock.now()):
            return True
        self.batch.state = State.RUNNING
        return False

    def _end(self, *, seals: bool, has_new_jobs: bool) -> State:
        """Seal the batch, if it is to be; return its state. On MongoDB, somebody may have sealed
        it since the begin, and even have found it finished.
        """
        now = redis_clock.now()
        step = batches.seal if seals else batches.receive
        if step(self.batch.pk, now):
            return State.RUNNING if seals else State.RECEIVING
        if has_new_jobs:
            batches.take_in(self.batch.pk)
        return State.RUNNING

    def retry_seconds(self) -> int:
        """Return when the batch is worth asking for: when the last of its new jobs may be done."""
        seconds = [retry_after.of_new_job(job) for job in self.last_jobs.values()]
        return max(seconds, default=retry_after.MIN_SECONDS)
