"""The items of a batch as they are posted: each is a job's fields, or why it can't be a job."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from jobs.api import idempotency
from jobs.api.batches.line_reader import LongLine
from jobs.api.batches.posted import Common
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

    def of_values(self, values: Iterable[Any]) -> Iterator[Item]:
        """Yield the elements of a JSON array as items."""
        for index, value in enumerate(values):
            item = self._of_value(index, value)
            if len(COMPACT.encode(value).encode()) > settings.JOB_MAX_BYTES:
                item.body, item.problem = None, _too_large("item")
            yield item

    def of_lines(self, lines: Iterable[bytes | LongLine]) -> Iterator[tuple[Item, int]]:
        """Yield lines as items, each with its length."""
        for index, line in enumerate(lines):
            if isinstance(line, LongLine):
                digest = line.digest if self._have_fingerprints else ""
                yield Item(index, problem=_too_large("line"), fingerprint=digest), 0
                continue
            try:
                value = LINE_JSON.read(line)
            except InvalidJSON as error:
                problem = Problem("invalid_json", 400, str(error))
                yield Item(index, None, problem, self._digest(line)), len(line)
            else:
                yield self._of_value(index, value, line), len(line)

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
