"""A posted job, alone or as an item of a batch: from its fields to a row that is not saved yet."""

from typing import Any

from clients.directory import Caller
from jobs import tallies
from jobs.api import retry_after
from jobs.api.access.permissions import require_vendor
from jobs.api.input import options
from jobs.api.input.posted import JobInput
from jobs.api.input.validation import validated
from jobs.api.problems import queue_full
from jobs.models import Job
from jobs.queue.backlog import backlog

# Shared by all requests: making a serializer copies all of its fields, and these keep no state.
INPUT = JobInput()


def require_its_vendor(body: dict[str, Any], caller: Caller) -> None:
    """Raise Problem if the job is for a vendor that the caller must not use."""
    vendor = body.get("vendor")
    if isinstance(vendor, str):
        require_vendor(caller, vendor)


def new_job(body: dict[str, Any], caller: Caller) -> Job:
    """Return the unsaved job. Raises Problem if it is not valid."""
    valid = validated(INPUT.of(caller), body, "pointer", "/")
    columns = options.columns(valid.get("options", {}))
    fields = {"client": caller.client, "vendor": valid["vendor"], "name": valid["name"]}
    return Job.new(**fields, input=valid["input"], **columns)


def require_room(slug: str, whose: str = "This vendor's queue") -> None:
    """Raise Problem if the vendor's queue is full."""
    if backlog.is_full(slug):
        tallies.count("queue_full", slug)
        raise queue_full(retry_after.of_full_queue(slug), whose)
