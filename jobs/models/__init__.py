"""Jobs, the batches they were posted in, the calls made for them, and the callbacks received."""

from jobs.models.attempt import UNKNOWN, Attempt, Kind
from jobs.models.batch import Batch, RefusedItem, State
from jobs.models.bulk_action import BulkAction, BulkState
from jobs.models.callback import Callback, Verdict
from jobs.models.job import EPOCH, FINAL, IN_FLIGHT, OPEN, QUEUES, Job, Status, Stream, time_of
from jobs.models.tally import Span, Tally, TallyMark

__all__ = [
    "EPOCH",
    "FINAL",
    "IN_FLIGHT",
    "OPEN",
    "QUEUES",
    "UNKNOWN",
    "Attempt",
    "Batch",
    "BulkAction",
    "BulkState",
    "Callback",
    "Job",
    "Kind",
    "RefusedItem",
    "Span",
    "State",
    "Status",
    "Stream",
    "Tally",
    "TallyMark",
    "Verdict",
    "time_of",
]
