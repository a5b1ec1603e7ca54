"""What a service says of a key that was used for other jobs, as a ConflictError."""

from collections.abc import Iterator
from contextlib import contextmanager

from enrichlabs_client.errors import ApiError, ConflictError
from enrichlabs_client.models import Upload

CODES = frozenset({"idempotency_key_reused", "batch_sealed"})
REMEDY = "A key is for one set of jobs: use another key for these, such as one with the date."


@contextmanager
def named(key: str) -> Iterator[None]:
    """Name the key if the service refuses an upload because of it."""
    try:
        yield
    except ApiError as error:
        if error.code not in CODES:
            raise
        detail = f"The key {key!r} was used before, for other jobs or another reference. {REMEDY}"
        raise ConflictError(error.status, error.code, detail, error.errors) from None


def check(upload: Upload, key: str) -> None:
    """Raise ConflictError if some of the items were refused because of the key."""
    found = [each for each in upload.refusals if each.code in CODES]
    if not found:
        return
    more = "at least " if upload.refused > len(upload.refusals) else ""
    detail = (
        f"The key {key!r} was used before, for other jobs: {more}{len(found):,} of the "
        f"{upload.received:,} jobs of batch {upload.batch_id} were not added. {REMEDY}"
    )
    raise ConflictError(found[0].status, found[0].code, detail)
