"""Tells of jobs that have failed: one log line and one count each, whoever moved them."""

import logging

from jobs.lifecycle import Move
from jobs.queue import counters

log = logging.getLogger(__name__)


JOBS_FAILED = "jobs_failed"


def tell(vendor: str, move: Move) -> None:
    """Log and count a move to `failed` that has happened."""
    put_in_log(vendor, move)
    counters.count(JOBS_FAILED, vendor)


def put_in_log(vendor: str, move: Move) -> None:
    """Log it alone: whoever moves many counts them together."""
    log.warning(
        "job %s of %s failed (%s): %s",
        move.job_id,
        vendor,
        move.changes["error_code"],
        move.changes["error_message"],
    )
