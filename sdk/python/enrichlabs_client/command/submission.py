"""The steps of a submission: upload the rows, wait for their jobs, write the results."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from enrichlabs_client import conflicts
from enrichlabs_client.batch_calls import query_of
from enrichlabs_client.client import Client
from enrichlabs_client.command.failures import Tally, UsageError
from enrichlabs_client.command.files import CSV, delimiter_of
from enrichlabs_client.command.mapping import JobMapping
from enrichlabs_client.command.outputs import ResultColumns, Writer, whole
from enrichlabs_client.command.progress import Progress
from enrichlabs_client.command.state import Part, State
from enrichlabs_client.command.tables import Table
from enrichlabs_client.errors import ApiError, EnrichLabsError
from enrichlabs_client.models import Failure, Upload
from enrichlabs_client.results import Result
from enrichlabs_client.uploads import MAX_LINES, as_line
from enrichlabs_client.uploads import Part as Spool

TERMINAL_WAIT, LOG_WAIT = 3, 30
CLOSED = (
    "The batch that was begun for these rows was closed without them. Use --again to submit all "
    "rows anew."
)
CANCELLED = Failure("not_received", "The batch was cancelled before this row came.")
NOT_TAKEN = Failure(
    "not_received", "The batch was closed before this row came, or the row could not be stored."
)
DELETED = Failure("deleted", "The job of this row has been deleted from the service.")
DELETED_OR_NOT_TAKEN = Failure(
    "missing",
    "The job of this row has been deleted from the service, or the batch was closed before the row "
    "came.",
)


@dataclass(frozen=True)
class Submission:
    client: Client
    table: Table
    mapping: JobMapping
    state: State
    progress: Progress
    vendor: str | None
    reference: str

    # Upload

    def upload(self) -> int:
        """Post all rows that are in no batch yet. Returns how many rows were refused."""
        rows = Rows(self)
        first = 0
        while first < self.table.count:
            known = self.state.parts.get(first)
            if known and known.batch_id:
                rows.skip(known.rows)
            else:
                self._upload_part(first, rows)
            first += self.state.parts[first].rows
            rows.go_to(first)
            self.progress.show("Uploaded", first, self.table.count)
        self.progress.end()
        return sum(part.refused for part in self.parts())

    def _upload_part(self, first: int, rows: "Rows") -> None:
        with closing(rows.take(self.state.room(first, self.table.count))) as spool:
            self.table.file.check_unchanged()
            was_sent_before = first in self.state.parts
            self.state.record(first, spool.lines)
            try:
                upload = self._post(first, spool)
            except EnrichLabsError as error:
                if error.changed_nothing and not was_sent_before:
                    self.state.withdraw(first)
                if isinstance(error, ApiError) and error.code in conflicts.CODES:
                    raise UsageError(CLOSED) from None
                raise
            count, refused = spool.lines, upload.refused
        if upload.replayed:
            count, refused = self._received(upload, count)
        self.state.record(first, count, upload.batch_id, min(max(0, refused), count))

    def _post(self, first: int, spool: Spool) -> Upload:
        return self.client.upload_part(
            spool,
            key=self.state.key_of(first),
            query=query_of(self.vendor, self.mapping.defaults, self.reference),
            on_progress=lambda sent: self._show_sent(first, spool, sent),
        )

    def _show_sent(self, first: int, spool: Spool, sent: int) -> None:
        rows = spool.lines * sent // (spool.size + 1)  # the last is not yet accepted
        self.progress.show("Uploaded", first + rows, self.table.count)

    def _received(self, upload: Upload, sent: int) -> tuple[int, int]:
        """Return how many of the rows the batch has, and how many of them were refused. It may have
        been sealed after a day.
        """
        batch = self.client.batch(upload.batch_id)
        if not batch.cut_short or batch.received is None:
            return sent, upload.refused
        if batch.received <= 0:
            raise UsageError(CLOSED)
        return min(sent, batch.received), batch.counts.get("refused", 0)

    # Wait

    def wait(self) -> None:
        seconds = TERMINAL_WAIT if self.progress.is_terminal else LOG_WAIT
        before = 0
        for part in self.parts():
            while True:
                batch = self.client.batch(part.batch_id or "", wait=seconds)
                done = part.rows - batch.open
                self.progress.show("Finished", before + max(0, done), self.table.count)
                if batch.is_finished:
                    break
            before += part.rows
        self.progress.end()

    # Results

    def write(self, path: Path, format: str, fields: list[str] | None) -> Tally:
        """Write the rows with their results. Returns what became of them."""
        own = ResultColumns(fields, self.table.columns)
        columns = [*self.table.columns, *own.names]
        encoding = "utf-8-sig" if self.table.file.needs_mark and format == CSV else "utf-8"
        tally = Tally()
        with whole(path, encoding) as file:
            writer = Writer(file, format, columns, delimiter_of(path) or self.table.delimiter)
            for row, result in zip(self.table.rows(), self._results(), strict=True):
                writer.write({**row, **own.texts(result)})
                tally.add(result)
                self.progress.show("Written", tally.counts.total(), self.table.count)
            self.table.file.check_unchanged()
        self.progress.end()
        return tally

    def _results(self) -> Iterator[Result]:
        """Yield one result for each row."""
        for part in self.parts():
            came = self.client.results(part.batch_id or "")
            result = next(came, None)
            missing: tuple[str, Failure] | None = None
            for index in range(part.rows):
                if result and result.index == index:
                    yield result
                    result = next(came, None)
                else:
                    missing = missing or self._why_missing(part)
                    yield Result(index, None, missing[0], error=missing[1])

    def _why_missing(self, part: Part) -> tuple[str, Failure]:
        """Return the status and the reason of the rows that the batch does not have."""
        batch = self.client.batch(part.batch_id or "")
        # The batch keeps the rows that it refused, but not those that came too late.
        never_came = part.refused - batch.counts.get("refused", 0)
        if never_came <= 0:
            return "deleted", DELETED
        if never_came < part.rows - (batch.received or 0):
            return "missing", DELETED_OR_NOT_TAKEN
        return "refused", CANCELLED if batch.counts.get("cancelled") else NOT_TAKEN

    def parts(self) -> list[Part]:
        return [part for _, part in sorted(self.state.parts.items())]


class Rows:
    """The jobs of the rows, from any row on."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._jobs = submission.mapping.jobs(submission.table)
        self._at = 0

    def skip(self, count: int) -> None:
        self._at += sum(1 for _ in islice(self._jobs, count))

    def go_to(self, row: int) -> None:
        if row < self._at:
            self._jobs = self._submission.mapping.jobs(self._submission.table)
            self._at = 0
        self.skip(row - self._at)

    def take(self, limit: int) -> Spool:
        """Return a file with the next rows, as many as one batch may have."""
        spool = Spool()
        for job in islice(self._jobs, min(limit, MAX_LINES)):
            line = as_line(job, self._at)
            if not spool.has_room(line):
                self._jobs = chain([job], self._jobs)
                break
            spool.add(line)
            self._at += 1
        return spool
