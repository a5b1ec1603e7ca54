"""Batches in the sweep: seals those whose upload was abandoned, and advances those that run."""

import logging
from datetime import timedelta

import redis

from jobs import batches, operator_actions
from jobs.models import Batch, State
from jobs.queue.clock import redis_clock
from jobs.storage import store
from jobs.storage.open_jobs import batches_with_open_jobs

log = logging.getLogger(__name__)

CHUNK = 500
ABANDONED_AFTER = timedelta(hours=24)


class BatchSweep:
    """Looks at all unfinished batches in turn, so that many of them delay nothing else."""

    def __init__(self) -> None:
        self._last = ""
        self._failing: set[str] = set()

    def seal_abandoned(self) -> int:
        now = redis_clock.now()
        received_before = now - ABANDONED_AFTER
        receiving = Batch.objects.filter(state=State.RECEIVING)
        abandoned = receiving.filter(received_at__lte=received_before)
        batch_ids = list(abandoned.values_list("pk", flat=True)[:CHUNK])
        for batch_id in batch_ids:
            batches.cut_short(batch_id, now, received_before=received_before)
        return len(batch_ids)

    def advance(self) -> int:
        """Advance the next running batches. Returns CHUNK if there is more to do at once."""
        running = Batch.objects.filter(state=State.RUNNING, pk__gt=self._last)
        found = list(running.order_by("pk")[:CHUNK])
        self._last = found[-1].pk if len(found) == CHUNK else ""
        idle = [batch.pk for batch in found if not _is_requested(batch)]
        waits = batches_with_open_jobs(idle) if idle else set()
        has_more = [self._advance(batch) for batch in found if batch.pk not in waits]
        return CHUNK if any(has_more) else 0

    def _advance(self, batch: Batch) -> bool:
        """Advance one batch, whatever is wrong with another one. Raises if the store is away."""
        try:
            has_more = operator_actions.advance(batch)
        except Exception as error:
            if isinstance(error, store.STORE_ERRORS) and not store.refuses(error):
                raise
            if isinstance(error, redis.RedisError) and not isinstance(error, redis.ResponseError):
                raise
            if batch.pk not in self._failing:
                log.error("batch %s can't be advanced: %s", batch.pk, type(error).__name__)
            self._failing.add(batch.pk)
            return False
        self._failing.discard(batch.pk)
        return has_more


def _is_requested(batch: Batch) -> bool:
    """Whether something was requested for all of its jobs."""
    return bool(batch.cancel_requested_at or batch.retry_requested_at)
