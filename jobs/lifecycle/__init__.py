"""The moves of a job, and the only package that writes a status (docs/lifecycle.md has the chart).

A move is made as a value and then applied: a conditional update that filters on the id, the
statuses that the job may come from, and a fence. `apply` returns for each move whether it happened.
False means that another process moved the job first; then stop quietly.
"""

from jobs.lifecycle.attempts import (
    ATTEMPT_COLUMNS,
    MAX_CRASHES,
    claim,
    claimed,
    complete,
    fail,
    interrupt,
    not_storable,
    release,
    retry_later,
    take_over,
    wait,
)
from jobs.lifecycle.move import Move, apply, new_token
from jobs.lifecycle.others import (
    EXPIRED,
    GAVE_UP,
    OVERDUE,
    OVERDUE_CODES,
    cancel,
    complete_by_callback,
    complete_overdue,
    enqueue_due,
    expire,
    fail_by_callback,
    overdue,
    requeue_lost,
    retry,
    retry_by_callback,
)
from jobs.lifecycle.polls import (
    claim_polls,
    complete_by_poll,
    fail_by_poll,
    poll_again,
    postpone_poll,
)

__all__ = [
    "ATTEMPT_COLUMNS",
    "EXPIRED",
    "GAVE_UP",
    "MAX_CRASHES",
    "Move",
    "OVERDUE",
    "OVERDUE_CODES",
    "apply",
    "cancel",
    "claim",
    "claim_polls",
    "claimed",
    "complete",
    "complete_by_callback",
    "complete_by_poll",
    "complete_overdue",
    "enqueue_due",
    "expire",
    "fail",
    "fail_by_callback",
    "fail_by_poll",
    "interrupt",
    "new_token",
    "not_storable",
    "overdue",
    "poll_again",
    "postpone_poll",
    "release",
    "requeue_lost",
    "retry",
    "retry_by_callback",
    "retry_later",
    "take_over",
    "wait",
]
