"""The items of a batch as they are posted: each is a job's fields, or why it can't be a job."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from jobs.api import idempotency
from jobs.api.batches.posting.common import Common
from jobs.api.batches.posting.lines import LongLine
from jobs.api.input.bodies import EXAMPLE, JOB_JSON
from jobs.api.problems import Problem
from vendors.payloads import exact
from vendors.payloads.json_reader import InvalidJSON

LINE_JSON = replace(JOB_JSON, subject="The line", is_one_line=True)
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class Item:
    """`body` is what a POST of this job alone would have, `problem` why it is no job whatever the
    vendors are.
    """

    index: int
    body: dict[str, Any] | None = None
    problem: Problem | None = None
    fingerprint: str = ""  # if the batch has a key

    @property
    def reference(self) -> str:
        """Its reference, if it has one; not validated yet."""
        options = self.body.get("options") if self.body else None
        reference = options.get("reference") if isinstance(options, dict) else None
        return reference if isinstance(reference, str) else ""


class Items:
    """Makes the items of one request."""

    def __init__(self, common: Common, *, have_fingerprints: bool) -> None:
        self._common = common
        self._have_fingerprints = have_fingerprints
        self._count = 0  # of the lines so far

    def of_values(self, values: Sequence[Any]) -> list[Item]:
        """Return the elements of a JSON array as items."""
        items = [self._of_value(index, value) for index, value in enumerate(values)]
        for item, value in zip(items, values, strict=True):
            if len(COMPACT.encode(value).encode()) > settings.JOB_MAX_BYTES:
                item.body, item.problem = None, _too_large("item")
        return items

    def of_lines(self, lines: Sequence[bytes | LongLine]) -> list[Item]:
        """Return the next lines as items."""
        items = [self._of_line(self._count + place, line) for place, line in enumerate(lines)]
        self._count += len(lines)
        return items

    def _of_line(self, index: int, line: bytes | LongLine) -> Item:
        if isinstance(line, LongLine):
            return Item(index, None, _too_large("line"), line.digest)
        try:
            value = LINE_JSON.read(line)
        except InvalidJSON as error:
            problem = Problem("invalid_json", 400, str(error))
            return Item(index, None, problem, self._digest(line))
        return self._of_value(index, value, line)

    def _of_value(self, index: int, value: Any, raw: bytes | None = None) -> Item:
        if not isinstance(value, dict):
            if raw is None:
                raw = exact.write(value, idempotency.CANONICAL).encode()
            problem = Problem("not_an_object", 400, f"Send a JSON object, such as {EXAMPLE}.")
            return Item(index, None, problem, self._digest(raw))
        body = self._common.added_to(value)
        digest = idempotency.fingerprint(body) if self._have_fingerprints else ""
        return Item(index, body, None, digest)

    def _digest(self, raw: bytes) -> str:
        return hashlib.sha256(raw).hexdigest() if self._have_fingerprints else ""


def _too_large(noun: str) -> Problem:
    detail = f"The {noun} is too large. The limit is {settings.JOB_MAX_BYTES} bytes."
    return Problem("too_large", 413, detail)
