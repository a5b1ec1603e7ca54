"""The calls about jobs, and the list of vendors."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from time import monotonic

from enrichlabs_client.calls import MAX_WAIT_SECONDS, Calls, as_object, idempotency, prefer
from enrichlabs_client.errors import PermissionDenied, WaitTimedOut
from enrichlabs_client.http.addresses import path_of
from enrichlabs_client.http.transport import Request
from enrichlabs_client.models import FINAL, Job, Raw, Vendor
from enrichlabs_client.uploads import as_json

ATTEMPT_SECONDS = 30.0


def _is_final(raw: Raw) -> bool:
    return raw.get("status") in FINAL


class JobCalls(Calls):
    def submit(
        self,
        job: Mapping[str, object] | None = None,
        /,
        *,
        vendor: str | None = None,
        options: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **fields: object,
    ) -> Job:
        """Post a job: `submit(vendor="acme", name="John Doe")`. The fields may also be a mapping.

        With `wait`, return it when it is final, or as it is after that many seconds. Give an
        idempotency key to be able to repeat the call yourself.
        """
        body = {**(job or {}), **fields}
        body |= {"vendor": vendor} if vendor is not None else {}
        body |= {"options": options} if options is not None else {}
        headers = {"Content-Type": "application/json"}
        headers |= idempotency(idempotency_key or str(uuid.uuid4()))
        seconds = min(MAX_WAIT_SECONDS, int(wait or 0))
        request = Request(
            "POST",
            "/jobs",
            body=as_json(body).encode(),
            headers={**headers, **prefer(seconds)},
            attempt_seconds=ATTEMPT_SECONDS + seconds,
        )
        ends_at = monotonic() + (wait or 0)
        answer = self._transport.call(request, timeout=self.timeout + seconds)
        posted = Job.of(as_object(answer))
        if not wait or posted.is_final:
            return posted
        try:
            return self.get(posted.id, wait=max(0, ends_at - monotonic()))
        except PermissionDenied:
            return posted  # this key may post, and not read

    def get(self, job_id: str, *, wait: float | None = None) -> Job:
        """Return the job. With `wait`, as soon as it is final, and after that many seconds."""
        return Job.of(self._poll(path_of("jobs", job_id), wait or 0, _is_final))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Return the job when it is final. Raises WaitTimedOut if it is not in time."""
        job = Job.of(self._poll(path_of("jobs", job_id), timeout, _is_final))
        if not job.is_final:
            raise WaitTimedOut(f"Job {job.id} is not final after {timeout:g} s.")
        return job

    def jobs(
        self,
        *,
        status: str | None = None,
        vendor: str | None = None,
        reference: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Yield the jobs, newest first, up to `limit`. Lists have no results."""
        query = {"status": status, "vendor": vendor, "reference": reference}
        times = {"created_after": created_after, "created_before": created_before}
        query |= {name: time.isoformat() for name, time in times.items() if time}
        return map(Job.of, self._pages("/jobs", query, limit))

    def cancel(self, job_id: str) -> Job:
        return Job.of(self._act(path_of("jobs", job_id, "cancel")))

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again."""
        return Job.of(self._act(path_of("jobs", job_id, "retry")))

    def vendors(self) -> list[Vendor]:
        """Return the vendors that this key may be used for."""
        return [Vendor.of(each) for each in self._items(self._get("/vendors"))]
