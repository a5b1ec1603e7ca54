"""Reports failed jobs: one log line and one count for each, whichever process moved it."""

import logging

from jobs.lifecycle import Move
from jobs.queue import counters

log = logging.getLogger(__name__)

JOBS_FAILED = "jobs_failed"  # the counter


def report(slug: str, move: Move) -> None:
    """Log and count a move to `failed` that has happened."""
    log_failure(slug, move)
    counters.count(JOBS_FAILED, slug)


def log_failure(slug: str, move: Move) -> None:
    """Log the failure only, for callers that count many at once."""
    code, message = move.changes["error_code"], move.changes["error_message"]
    log.warning("job %s of %s failed (%s): %s", move.job_id, slug, code, message)
