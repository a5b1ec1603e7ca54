"""The calls about batches."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping

from enrichlabs_client import conflicts, results, uploads
from enrichlabs_client.calls import Calls, as_object, idempotency
from enrichlabs_client.errors import InvalidArgument, WaitTimedOut
from enrichlabs_client.http.addresses import path_of
from enrichlabs_client.http.bodies import FileBody
from enrichlabs_client.http.transport import Request
from enrichlabs_client.models import Batch, Raw, Upload
from enrichlabs_client.results import Result

ATTEMPT_SECONDS = 660.0  # the service gives an upload 600
MAX_KEY = 240  # with the number of the part, it must not exceed the 255 of an Idempotency-Key

Options = Mapping[str, object]


def _is_finished(raw: Raw) -> bool:
    return raw.get("state") == "finished"


class BatchCalls(Calls):
    def submit_many(
        self,
        jobs: Iterable[uploads.Item],
        *,
        vendor: str | None = None,
        options: Options | None = None,
        reference: str | None = None,
        key: str | None = None,
        timeout: float | None = None,
    ) -> list[Upload]:
        """Post any number of jobs, as one batch for each 50,000 of them.

        `vendor` and `options` are defaults: what a job has itself counts. An item that is refused
        does not keep the others out. Memory is bounded: the jobs are written to a temporary file,
        50,000 at a time.

        Give a key of your own, such as "customers 2027-01-31", to be able to repeat the call: what
        is there already is not added again. A key is for one set of jobs: with other jobs, it
        raises ConflictError. It has up to 240 printable ASCII characters.
        """
        key, query, posted = _checked(key), query_of(vendor, options, reference), []
        for number, part in enumerate(uploads.parts(jobs), 1):
            with conflicts.named(key):
                upload = self.upload_part(
                    part, key=f"{key}.part-{number}", query=query, timeout=timeout
                )
            conflicts.check(upload, key)
            posted.append(upload)
        return posted

    def upload_part(
        self,
        part: uploads.Part,
        *,
        key: str,
        query: Mapping[str, object],
        timeout: float | None = None,
        on_progress: Callable[[int], None] = lambda sent: None,
    ) -> Upload:
        """Post one batch from a file. `on_progress` is told how many bytes have been sent."""
        request = Request(
            "POST",
            "/batches",
            query=query,
            body=FileBody(part.file, part.size, on_progress),
            headers={"Content-Type": "application/x-ndjson", **idempotency(key)},
            attempt_seconds=ATTEMPT_SECONDS,
        )
        answer = self._transport.call(request, timeout=timeout)
        replayed = answer.headers.get("Idempotency-Replayed") == "true"
        return Upload.of(as_object(answer), replayed=replayed)

    def batch(self, batch_id: str, *, wait: float | None = None) -> Batch:
        """Return the batch. With `wait`, as soon as it is finished, and after that many seconds."""
        return Batch.of(self._poll(path_of("batches", batch_id), wait or 0, _is_finished))

    def wait_batch(self, batch_id: str, timeout: float | None = None) -> Batch:
        """Return the batch when it is finished. Raises WaitTimedOut if it is not in time."""
        batch = Batch.of(self._poll(path_of("batches", batch_id), timeout, _is_finished))
        if not batch.is_finished:
            raise WaitTimedOut(f"Batch {batch.id} is not finished after {timeout:g} s.")
        return batch

    def batches(
        self,
        *,
        state: str | None = None,
        reference: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Batch]:
        """Yield the batches, newest first, up to `limit`. Lists have no counts."""
        query = {"state": state, "reference": reference}
        return map(Batch.of, self._pages("/batches", query, limit))

    def results(
        self,
        batch: Batch | Upload | str,
        *,
        fields: Iterable[str] | str | None = None,
        partial: bool = False,
        timeout: float | None = None,
    ) -> Iterator[Result]:
        """Yield the results of a finished batch, in the order of its items.

        `fields` reduces each result to these fields, such as `name` or `address.city`; a text is
        one field. With `partial`, the batch may be unfinished. After an interruption it goes on,
        and no result comes twice.
        """
        batch_id = batch if isinstance(batch, str) else _id_of(batch)
        expected = self.batch(batch_id).received or 0
        fields = [fields] if isinstance(fields, str) else fields
        query = {
            "fields": ",".join(fields) if fields is not None else None,
            "partial": "true" if partial else None,
        }
        request = Request(
            "GET",
            path_of("batches", batch_id, "results"),
            query=query,
            attempt_seconds=results.ATTEMPT_SECONDS,
        )
        return results.read(self._transport, request, expected, timeout)

    def cancel_batch(self, batch_id: str) -> Batch:
        """Cancel the jobs that are not final. `pending_action` says if it still goes on."""
        return Batch.of(self._act(path_of("batches", batch_id, "cancel")))

    def retry_batch(self, batch_id: str) -> Batch:
        """Queue the jobs that have failed again. `pending_action` says if it still goes on."""
        return Batch.of(self._act(path_of("batches", batch_id, "retry")))


def query_of(
    vendor: str | None, options: Options | None, reference: str | None
) -> dict[str, object]:
    """Return the query of an upload: the defaults of its items."""
    given = uploads.as_json(options) if options else None
    return {"vendor": vendor, "options": given, "reference": reference}


def _checked(key: str | None) -> str:
    if not key:
        return str(uuid.uuid4())
    if not (key.isascii() and key.isprintable() and len(key) <= MAX_KEY):
        raise InvalidArgument(f"A key of many jobs has 1 to {MAX_KEY} printable ASCII characters.")
    return key


def _id_of(batch: Batch | Upload) -> str:
    return batch.id if isinstance(batch, Batch) else batch.batch_id
