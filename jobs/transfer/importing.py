"""Reads the rows of an exported file into the store. Rows that exist already are not changed.

An import keeps no state of its own: run it again after an interruption, and it writes what is
missing. On MongoDB, an interrupted chunk may be written in part.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any

from django.db.models import Model

from clients.models import DEFAULT, Client
from jobs.models import Batch, Job
from jobs.queue.redis import commands
from jobs.queue.vendor_keys import counting_keys
from jobs.storage.store import writing
from jobs.transfer.archive import (
    KINDS,
    FaultyArchiveError,
    Line,
    Row,
    end_counts,
    fields,
    lines,
    row,
)
from vendors.models import Credential, CredentialKey, Limit, Vendor

CHUNK = 500
CHUNK_BYTES = 4 * 1024 * 1024
# How often a row was saved says nothing of its content. Files of 0.1.0 do not have it.
NOT_COMPARED = {"version"}
# Rows of clients, each of which may use an idempotency key once.
OWNED: dict[str, type[Job] | type[Batch]] = {"batch": Batch, "job": Job}


class Import:
    """An exported file on its way into the store, with its counts of rows by kind.

    Raises FaultyArchiveError if the export was not finished.
    """

    def __init__(self, file: IO[bytes]) -> None:
        expected = end_counts(file)
        if expected is None:
            raise FaultyArchiveError(
                "The export is not finished: its end line is missing. Run the export again."
            )
        self.expected = Counter(expected)  # as the end line states
        self.read = Counter[str]()
        self.written = Counter[str]()
        self.different = Counter[str]()  # stored before, with other content or under another id
        # Because another job or batch of the client has the idempotency key, or another job the
        # place in the batch.
        self.left_out = Counter[str]()
        self.stored = Counter[str]()  # counted by check()
        self.created: list[str] = []  # clients that rows named, and that neither file nor store had
        self.last_line = 0  # all lines up to this one are written
        self._clients: set[str] = set()  # that jobs and batches name
        self._file = file

    def write(self) -> Iterator[int]:
        """Write the rows; after each chunk, yield how many bytes of the file are done.

        Raises FaultyArchiveError, with nothing of the line's chunk written, and STORE_ERRORS.
        """
        for chunk in _chunks(lines(self._file)):
            self._write(chunk[0].kind, {line.columns["id"]: row(line) for line in chunk})
            self.last_line = chunk[-1].number
            yield chunk[-1].ends_at
        self.created = _create_missing(self._clients)

    def check(self) -> Iterator[int]:
        """Count which rows of the file are in the store; after each chunk, yield the bytes done."""
        for chunk in _chunks(lines(self._file)):
            kind = chunk[0].kind
            lines_by_id = {line.columns["id"]: line for line in chunk}
            stored = KINDS[kind]._default_manager.filter(pk__in=lines_by_id)
            ids = set(stored.values_list("pk", flat=True))
            others = {row_id: row(lines_by_id[row_id]) for row_id in lines_by_id.keys() - ids}
            self.stored[kind] += len(ids) + len(_with_taken_values(kind, others))
            yield chunk[-1].ends_at

    def mismatched(self) -> list[str]:
        """Return the kinds of which fewer or more rows were read, or are stored, than expected."""
        return [
            kind
            for kind in KINDS
            if not self.expected[kind] == self.read[kind] == self.stored[kind]
        ]

    def _write(self, kind: str, rows: dict[str, Row]) -> None:
        model = KINDS[kind]
        stored = model._default_manager.filter(pk__in=rows).values(*fields(kind))
        is_same = {each["id"]: _are_same(each, rows[each["id"]]) for each in stored}
        others = {row_id: columns for row_id, columns in rows.items() if row_id not in is_same}
        taken = _with_taken_values(kind, others)
        missing = [model(**columns) for row_id, columns in others.items() if row_id not in taken]
        _insert(model, missing)
        if kind in OWNED:
            self._clients |= {columns["client"] for columns in rows.values()}
            self.left_out[kind] += len(taken)
        self.read[kind] += len(rows)
        self.written[kind] += len(missing)
        self.different[kind] += list(is_same.values()).count(False) + len(taken)


def forget_limits() -> None:
    """Delete the limiter state of all vendors, and of the limits that they share, which may lack
    calls that were imported. It is rebuilt from the rows before the next call.

    Raises redis.RedisError.
    """
    for vendor in Vendor.objects.all():
        commands().delete(*(counting.state for counting in counting_keys(vendor)))


def _chunks(of: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield lines of one kind in chunks that fit into memory."""
    chunk: list[Line] = []
    for line in of:
        if chunk and (
            line.kind != chunk[0].kind
            or len(chunk) == CHUNK
            or line.ends_at - chunk[0].ends_at > CHUNK_BYTES
        ):
            yield chunk
            chunk = []
        chunk.append(line)
    if chunk:
        yield chunk


def _with_taken_values(kind: str, rows: dict[str, Row]) -> set[str]:
    """Return the ids of rows whose unique value a stored row has, or an earlier one of these: the
    slug of a credential, a limit, a vendor or a client, a credential's key, a callback's key, an
    idempotency key among those of the client's jobs or batches, a job's place in its batch.
    """
    found = _with_taken_keys(OWNED[kind], rows) if kind in OWNED else set()
    if kind == "job":
        found |= _with_taken_places(rows)
    if kind == "credential key":
        keys = {row_id: (row["credential"], row["name"]) for row_id, row in rows.items()}
        found |= _taken(keys, CredentialKey.objects.values_list("credential", "name"))
    for name, field in fields(kind).items():
        if field.unique and not field.primary_key:
            values = {row_id: columns[name] for row_id, columns in rows.items()}
            same = KINDS[kind]._default_manager.filter(**{f"{name}__in": set(values.values())})
            found |= _taken(values, same.values_list(name, flat=True))
    return found


def _with_taken_keys(model: type[Job] | type[Batch], rows: dict[str, Row]) -> set[str]:
    keys: dict[str, dict[str, str]] = defaultdict(dict)  # by client and id
    for row_id, columns in rows.items():
        if key := columns["idempotency_key"]:
            keys[columns["client"]][row_id] = key
    found = set()
    for client, values in keys.items():
        same = model._default_manager.filter(client=client, idempotency_key__gt="")
        same = same.filter(idempotency_key__in=set(values.values()))
        found |= _taken(values, same.values_list("idempotency_key", flat=True))
    return found


def _with_taken_places(rows: dict[str, Row]) -> set[str]:
    places: dict[str, dict[str, int]] = defaultdict(dict)  # by batch and id
    for row_id, columns in rows.items():
        if columns["batch"]:
            places[columns["batch"]][row_id] = columns["batch_index"]
    found = set()
    for batch, values in places.items():
        same = Job.of_batch(batch).filter(batch_index__in=set(values.values()))
        found |= _taken(values, same.values_list("batch_index", flat=True))
    return found


def _taken(values: dict[str, Any], stored: Iterable[Any]) -> set[str]:
    """Return the ids of the values that are stored, or that an earlier id has."""
    seen, found = set(stored), set()
    for row_id, value in values.items():
        if value in seen:
            found.add(row_id)
        seen.add(value)
    return found


def _are_same(stored: Row, new: Row) -> bool:
    names = stored.keys() - NOT_COMPARED
    return all(_to_millisecond(stored[name]) == _to_millisecond(new[name]) for name in names)


def _to_millisecond(value: Any) -> Any:
    """Truncate a time as MongoDB does."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return value


def _create_missing(slugs: set[str]) -> list[str]:
    """Create clients with these slugs where there are none, and return their slugs. They are
    disabled: an operator decides who gets access to their jobs. The client `default`, to which jobs
    from before there were clients belong, is created as on a first start.
    """
    if DEFAULT in slugs:
        Client.objects.get_or_create(slug=DEFAULT)
    missing = sorted(slugs - set(Client.objects.values_list("slug", flat=True)))
    for slug in missing:
        Client.objects.create(slug=slug, enabled=False, note="Created by an import.")
    return missing


def _insert(model: type[Model], rows: list[Model]) -> None:
    with writing():
        if model in (Credential, Limit, Vendor):
            for each in rows:
                each.save_base(raw=True, force_insert=True)  # raw keeps created_at
        else:
            model._default_manager.bulk_create(rows)
