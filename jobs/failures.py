"""Reports failed jobs: one log line for each, whichever process moved it."""

import logging

from jobs.lifecycle import Move

log = logging.getLogger(__name__)


def report(slug: str, move: Move) -> None:
    """Log a move to `failed` that has happened. (`lifecycle.apply` has it counted.)"""
    code, message = move.changes["error_code"], move.changes["error_message"]
    log.warning("job %s of %s failed (%s): %s", move.job_id, slug, code, message)
