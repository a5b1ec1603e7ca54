"""The results of a batch: one file with a line for each item, in the order of their indexes.

It is read page by page, each with a query of its own, and streamed: neither the file nor a page
depends on how many items there are or how large they are.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from errno import ECONNRESET
from heapq import merge
from itertools import chain
from typing import Any, NamedTuple

from django.db.models import ExpressionWrapper, F, TextField
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from clients.scopes import Scope
from jobs.api.access import slots
from jobs.api.access.permissions import still_admitted
from jobs.api.batches import lines
from jobs.api.batches.lines import Line
from jobs.api.problems import Problem, overloaded
from jobs.api.serializers import FOUND, OUTWARD
from jobs.models import Job, RefusedItem, Status
from jobs.storage.errors import explain
from jobs.storage.store import STORE_ERRORS, patience

log = logging.getLogger(__name__)

PAGE_ROWS = 2000
PAGE_BYTES = 1024 * 1024
ROWS_AT_ONCE = 20  # in memory besides the page; one may have several megabytes
PAGE_PATIENCE_SECONDS = 10.0
PART_BYTES = 128 * 1024  # what is sent at once

# As the store has it: to read and write each result would take most of the time.
STORED_RESULT = ExpressionWrapper(F("result"), output_field=TextField())
COLUMNS = (
    *("batch_index", "id", "reference", "status", "error_code", "error_message"),
    *("created_at", "finished_at", "outcome"),
)


class Page(NamedTuple):
    lines: list[Line]
    is_last: bool


def response(
    request: HttpRequest, batch_id: str, form: str, fields: str | None = None
) -> HttpResponseBase:
    """Return the streamed file. It occupies a place of `slots.transfers` until it is closed.

    Raises Problem if there is no place or the fields are not valid, or one of STORE_ERRORS.
    """
    written = lines.FORMATS[form](lines.paths_of(fields))
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.{form}"'}
    if request.method == "HEAD":
        return StreamingHttpResponse((), content_type=written.content_type, headers=headers)
    if not slots.transfers.take():
        raise overloaded()
    download = Download(request, _parts(written, _all_lines(batch_id)))
    try:
        download.begin()
    except BaseException:
        download.close()
        raise
    return StreamingHttpResponse(download, content_type=written.content_type, headers=headers)


class Download:
    """Parts of a file, and the place that it occupies until it is closed."""

    def __init__(self, request: HttpRequest, parts: Iterator[bytes]) -> None:
        self._request = request
        self._parts = parts
        self._is_closed = False

    def begin(self) -> None:
        """Read the first page, so that a failure of the store can still be answered as usual."""
        self._parts = chain([next(self._parts)], self._parts)

    def __iter__(self) -> Iterator[bytes]:
        # When it is cut short, the connection is closed without the last chunk, so no client takes
        # that for the end.
        try:
            for part in self._parts:
                still_admitted(self._request, Scope.READ)
                yield part
        except Problem as problem:
            log.info("The results of a batch were cut short: the API key is refused by now.")
            raise ConnectionResetError(ECONNRESET, problem.code) from None
        except STORE_ERRORS as error:
            why = explain(error) or f"{type(error.__cause__ or error).__name__}."
            log.error("The results of a batch were cut short: the store does not answer. %s", why)
            raise ConnectionResetError(ECONNRESET, "the store does not answer") from None

    def close(self) -> None:
        """Free the place. Django calls this at the end, and when the client has gone."""
        if not self._is_closed:
            self._is_closed = True
            slots.transfers.free()


def _parts(written: lines.Format, found: Iterable[Line]) -> Iterator[bytes]:
    """Yield the file in parts of about PART_BYTES; the first one may be empty."""
    part, size = [written.head()], 0
    for line in found:
        part.append(written.line(line))
        size += len(part[-1])
        if size >= PART_BYTES:
            yield b"".join(part)
            part, size = [], 0
    yield b"".join(part)


def _all_lines(batch_id: str) -> Iterator[Line]:
    """Yield a line for each item. If an item is a refused one and a job, the job is what counts."""
    last = -1
    jobs, refused = _pages(_jobs, batch_id), _pages(_refused, batch_id)
    for line in merge(jobs, refused, key=lambda line: line.batch_index):
        if line.batch_index > last:
            yield line
        last = line.batch_index


def _pages(read: Callable[[str, int], Page], batch_id: str) -> Iterator[Line]:
    """Yield the lines of all pages. Nothing is yielded in the middle of a query."""
    first, is_last = 0, False
    while not is_last:
        with patience(PAGE_PATIENCE_SECONDS):
            page, is_last = read(batch_id, first)
        yield from page
        first = page[-1].batch_index + 1 if page else first


def _jobs(batch_id: str, first: int) -> Page:
    """Return the lines of jobs from index `first` on, about PAGE_BYTES of them."""
    jobs = Job.of_batch(batch_id).filter(batch_index__gte=first).order_by("batch_index")
    rows = jobs.values_list(*COLUMNS, STORED_RESULT)[:PAGE_ROWS].iterator(ROWS_AT_ONCE)
    page: list[Line] = []
    size = 0
    for row in rows:
        page.append(_line_of_job(row))
        size += len(row[-1] or "")
        if size >= PAGE_BYTES:
            return Page(page, is_last=False)
    return Page(page, is_last=len(page) < PAGE_ROWS)


def _line_of_job(row: Sequence[Any]) -> Line:
    index, job_id, reference, status, code, message, created_at, finished_at, outcome, result = row
    line = Line(index, job_id, reference or None, OUTWARD[Status(status)], created_at, finished_at)
    if status == Status.COMPLETE:
        return line._replace(outcome=outcome or FOUND, result=result)
    if status == Status.FAILED:
        return line._replace(error={"code": code, "message": message})
    return line


def _refused(batch_id: str, first: int) -> Page:
    items = RefusedItem.of_batch(batch_id).filter(pk__gte=f"{batch_id}-{first:05d}").order_by("pk")
    rows: Iterable[Any] = items.values_list("batch_index", "code", "detail", "errors")[:PAGE_ROWS]
    page = [lines.refused(*row) for row in rows]
    return Page(page, is_last=len(page) < PAGE_ROWS)
