"""Batches in the sweep: seals those whose upload nobody continued, and advances those that run."""

from datetime import timedelta

from jobs import batches, operator_actions
from jobs.models import Batch, State
from jobs.queue.clock import redis_clock

CHUNK = 500
ABANDONED_AFTER = timedelta(hours=24)


class BatchSweep:
    """Looks at all unfinished batches in turn, so that many of them delay nothing else."""

    def __init__(self) -> None:
        self._last = ""

    def seal_abandoned(self) -> int:
        now = redis_clock.now()
        receiving = Batch.objects.filter(state=State.RECEIVING)
        abandoned = receiving.filter(received_at__lte=now - ABANDONED_AFTER)
        batch_ids = list(abandoned.values_list("pk", flat=True)[:CHUNK])
        for batch_id in batch_ids:
            batches.seal(batch_id, now, cut_short=True)
        return len(batch_ids)

    def advance(self) -> int:
        """Advance running batches. Returns CHUNK if there is more to do at once."""
        running = Batch.objects.filter(state=State.RUNNING, pk__gt=self._last)
        found = list(running.order_by("pk")[:CHUNK])
        has_more = [operator_actions.advance(batch) for batch in found]
        if any(has_more):
            return CHUNK  # from the same place
        self._last = found[-1].pk if len(found) == CHUNK else ""
        return len(found) if self._last else 0
