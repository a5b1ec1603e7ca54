"""Jobs, the batches they were posted in, the calls made for them, and the callbacks received."""

from jobs.models.attempt import UNKNOWN, Attempt, Kind
from jobs.models.batch import Batch, RefusedItem, State
from jobs.models.callback import Callback, Verdict
from jobs.models.job import EPOCH, FINAL, IN_FLIGHT, OPEN, QUEUES, Job, Status, Stream, time_of

__all__ = [
    "EPOCH",
    "FINAL",
    "IN_FLIGHT",
    "OPEN",
    "QUEUES",
    "UNKNOWN",
    "Attempt",
    "Batch",
    "Callback",
    "Job",
    "Kind",
    "RefusedItem",
    "State",
    "Status",
    "Stream",
    "Verdict",
    "time_of",
]
