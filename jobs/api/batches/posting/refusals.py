"""Why an item is no job: the problem that a POST of this job alone would have, as a row."""

from typing import Any

from jobs.api.batches.posting.items import Item
from jobs.api.problems import Problem
from jobs.models import RefusedItem

MAX_POINTER = 255
MAX_SHOWN = 100  # in one answer

REUSED = Problem(
    "idempotency_key_reused",
    422,
    "This item was posted with other fields. Send a new Idempotency-Key, or the same item as the "
    "first time.",
)
SEALED = Problem(
    "batch_sealed", 409, "This batch takes no more items. Send them as a new batch, with a new key."
)
NOT_STORED = Problem(
    "server_error",
    500,
    "The store refuses this item, and the reason was logged. Tell the operator.",
)


def duplicate_reference(index: int, earlier: int) -> Problem:
    detail = f"Item {index} has the reference of item {earlier}. Each job of a batch needs its own."
    error = {"pointer": "/options/reference", "code": "duplicate_reference", "detail": detail}
    return Problem("duplicate_reference", 400, detail, errors=[error])


def refusal(batch_id: str, item: Item, problem: Problem) -> RefusedItem:
    """Return the row. It repeats nothing of what was posted but the names of fields."""
    errors = [
        {**error, "pointer": error["pointer"][:MAX_POINTER]} if "pointer" in error else {**error}
        for error in problem.errors
    ]
    detail = problem.detail
    if len(errors) > 1:  # the detail of the problem speaks of a list, which an item's has not
        first = errors[0]
        detail = f"Several fields are not valid. The first, {first['pointer']}: {first['detail']}"
    row = RefusedItem.new(batch_id, item.index, problem.status, problem.code, detail)
    row.errors, row.fingerprint = errors or None, item.fingerprint
    return row


def shown(refused: RefusedItem) -> dict[str, Any]:
    """Return the refusal as the answer to the upload shows it."""
    errors = refused.errors or [{}]
    return {
        "index": refused.batch_index,
        "status": refused.status,
        "code": refused.code,
        "detail": refused.detail,
        "pointer": errors[0].get("pointer"),
    }
