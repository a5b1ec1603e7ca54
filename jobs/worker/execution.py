"""The one object that a job is carried in through a worker."""

from dataclasses import dataclass

from jobs.lifecycle import Move
from jobs.models import Attempt, Job, Status
from jobs.queue.health.breaker import Standing
from jobs.queue.stream import Entry
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor


@dataclass(eq=False, slots=True)
class Execution:
    """One attempt or poll of a job, from claim to settle. Each step reads what the steps before it
    set.
    """

    # Set by claim.
    vendor: Vendor
    entry: Entry
    job: Job  # with the columns of lifecycle.ATTEMPT_COLUMNS, or POLL_COLUMNS
    charged_at: float  # when its permit was charged, in monotonic seconds
    probe: str = ""  # the breaker's token, if this call is its probe
    poll: Attempt | None = None  # its row, if the call is a poll

    # Set by execute. None: the vendor was not called.
    answer: Done | Accepted | VendorError | None = None
    is_unsent: bool = False  # there is an answer, an error, but nothing was sent to the vendor

    # Set by record.
    standing: Standing = Standing()  # of the vendor, after this answer
    move: Move | None = None
    happened: bool = False  # False: another process moved the job first

    @property
    def was_called(self) -> bool:
        """Whether there was a call, which limits count."""
        return self.answer is not None and not self.is_unsent

    @property
    def moved_to(self) -> Status | None:
        """The status that record moved the job to; None if it did not."""
        return self.move.to if self.move and self.happened else None
