"""Writes the rows of an exported file into the store as they are, and leaves alone what is there
already.

It keeps no state of its own: who runs it again after it broke off, wherever that was, has the rest
written. On MongoDB, a batch may have been written in part.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any

from django.db.models import Model

from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.storage.store import writing
from jobs.transfer.archive import KINDS, FaultyArchiveError, Line, Row, ending, fields, lines, row
from vendors.models import Vendor

BATCH = 500
BATCH_BYTES = 4 * 1024 * 1024


class Loading:
    """An exported file on its way into the store. Raises FaultyArchiveError where the export was
    not finished.
    """

    def __init__(self, file: IO[bytes]) -> None:
        said = ending(file)
        if said is None:
            raise FaultyArchiveError(
                "The last line is not that of a finished export. Run the export again, to its end."
            )
        self.said = Counter(said)
        self.read = Counter[str]()
        self.written = Counter[str]()
        self.differing = Counter[str]()  # there already with other content, or under another id
        self.held = Counter[str]()
        self.at = 0  # the line up to which all is written
        self._file = file

    def write(self) -> Iterator[int]:
        """Write the rows, and say after each batch how many bytes of the file are done.

        Raises FaultyArchiveError, with nothing of the line's batch written, and STORE_ERRORS.
        """
        for batch in _batches(lines(self._file)):
            self._write(batch[0].kind, {each.columns["id"]: row(each) for each in batch})
            self.at = batch[-1].number
            yield batch[-1].ends_at

    def check(self) -> Iterator[int]:
        """Count the rows of the file that the store has now, and say after each batch how many
        bytes are done.
        """
        for batch in _batches(lines(self._file)):
            kind = batch[0].kind
            rows = {each.columns["id"]: each.columns for each in batch}
            there = set(
                KINDS[kind]._default_manager.filter(pk__in=rows).values_list("pk", flat=True)
            )
            self.held[kind] += len(there | _elsewhere(kind, rows))
            yield batch[-1].ends_at

    def disagreeing(self) -> list[str]:
        """Return the kinds of which not as many were read, or are there, as the file's last line
        says.
        """
        return [kind for kind in KINDS if not self.said[kind] == self.read[kind] == self.held[kind]]

    def _write(self, kind: str, rows: dict[str, Row]) -> None:
        stored = KINDS[kind]._default_manager.filter(pk__in=rows).values(*fields(kind))
        there = {each["id"]: _is_same(each, rows[each["id"]]) for each in stored}
        there |= dict.fromkeys(_elsewhere(kind, rows) - there.keys(), False)
        missing = [KINDS[kind](**each) for each in rows.values() if each["id"] not in there]
        _insert(KINDS[kind], missing)
        self.read[kind] += len(rows)
        self.written[kind] += len(missing)
        self.differing[kind] += sum(not is_same for is_same in there.values())


def forget_limits() -> None:
    """Have each vendor's limits made from the rows before the next call: Redis may remember fewer
    calls than were written.

    Raises redis.RedisError.
    """
    for slug in Vendor.objects.values_list("slug", flat=True):
        commands().delete(Keys(slug).state)


def _batches(of: Iterable[Line]) -> Iterator[list[Line]]:
    """Give lines of the same kind together, as many as memory may hold at a time."""
    batch: list[Line] = []
    for each in of:
        if batch and (
            each.kind != batch[0].kind
            or len(batch) == BATCH
            or each.ends_at - batch[0].ends_at > BATCH_BYTES
        ):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def _elsewhere(kind: str, rows: dict[str, Row]) -> set[str]:
    """Return the ids of rows whose place is taken: a vendor's slug, a callback's key belong to one
    row alone.
    """
    found = set()
    for name in [
        name for name, field in fields(kind).items() if field.unique and not field.primary_key
    ]:
        ids = {each[name]: each["id"] for each in rows.values()}
        taken = (
            KINDS[kind]
            ._default_manager.filter(**{f"{name}__in": list(ids)})
            .values_list(name, flat=True)
        )
        found |= {ids[value] for value in taken}
    return found


def _is_same(stored: Row, new: Row) -> bool:
    """Whether two rows agree; times to the millisecond, for MongoDB keeps no more."""
    return {name: _kept(value) for name, value in stored.items()} == {
        name: _kept(value) for name, value in new.items()
    }


def _kept(value: Any) -> Any:
    return (
        value.replace(microsecond=value.microsecond // 1000 * 1000)
        if isinstance(value, datetime)
        else value
    )


def _insert(model: type[Model], rows: list[Model]) -> None:
    with writing():
        if model is Vendor:
            for each in rows:
                each.save_base(
                    raw=True, force_insert=True
                )  # raw: when it was created stays as it is
        else:
            model._default_manager.bulk_create(rows)
