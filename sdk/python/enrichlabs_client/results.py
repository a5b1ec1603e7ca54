"""The results of a batch: read as they come, and gone on with after an interruption."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from enrichlabs_client import json_text
from enrichlabs_client.errors import ConnectionFailed, EnrichLabsError, UnexpectedAnswer
from enrichlabs_client.http.retries import Retries
from enrichlabs_client.http.transport import Request, Transport
from enrichlabs_client.models import Failure, Raw, number, optional, text, time

MAX_LINE_BYTES = 32 * 1024 * 1024  # a result has 1 MiB, unless the service is set otherwise
ATTEMPT_SECONDS = 3600.0


@dataclass(frozen=True)
class Result:
    """What became of one item of a batch."""

    index: int
    """Its place in the batch, from 0."""
    id: str | None
    """The job's id; None if the item was refused."""
    status: str
    """That of the job, or refused."""
    outcome: str | None = None
    """If complete: found, or no_data if the vendor did its work and has nothing."""
    reference: str | None = None
    result: Any = field(default=None, repr=False)
    """The vendor's answer, if complete; None if the outcome is no_data."""
    error: Failure | None = None
    created_at: datetime | None = None
    finished_at: datetime | None = None
    raw: Raw = field(default_factory=dict, repr=False, compare=False)
    line: str = field(default="", repr=False, compare=False)
    """The JSON text that the service sent."""

    @property
    def result_text(self) -> str | None:
        """The result as JSON text, with every digit of its numbers."""
        return dict(json_text.members(self.line)).get("result") if self.result is not None else None

    @classmethod
    def of(cls, line: bytes | bytearray) -> Self:
        try:
            decoded = line.decode()
            raw = json.loads(decoded)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer("A line of the results is not JSON.") from None
        index = number(raw, "index") if isinstance(raw, dict) else None
        if index is None:
            raise UnexpectedAnswer("A line of the results has no index.")
        return cls(
            index,
            optional(raw, "request_id"),
            text(raw, "status"),
            optional(raw, "outcome"),
            optional(raw, "reference"),
            raw.get("result"),
            Failure.of(raw.get("error")),
            time(raw, "created_at"),
            time(raw, "finished_at"),
            raw,
            decoded,
        )


def read(
    transport: Transport, request: Request, expected: int, timeout: float | None
) -> Iterator[Result]:
    """Yield at least the expected number of results, each once, over as many requests as needed."""
    retries = Retries(timeout)
    after, count = -1, 0
    while True:
        try:
            for result in _one_answer(transport, request):
                if result.index > after:
                    after, count = result.index, count + 1
                    yield result
                    retries.progress()
            if count >= expected:
                return
            raise ConnectionFailed(f"The answer ended after {count} of {expected} results.")
        except EnrichLabsError as error:
            retries.pause(error)


def _one_answer(transport: Transport, request: Request) -> Iterator[Result]:
    rest = bytearray()
    with closing(transport.stream(request)) as blocks:
        for block in blocks:
            # Each byte is looked at and copied once, however long the line is.
            for number, piece in enumerate(block.split(b"\n")):
                if number:
                    if rest.strip():
                        yield Result.of(rest)
                    rest = bytearray()
                rest += piece
                if len(rest) > MAX_LINE_BYTES:
                    raise UnexpectedAnswer(
                        f"A line of the results exceeds {MAX_LINE_BYTES:,} bytes."
                    )
    if rest.strip():
        raise ConnectionFailed("The answer ended within a line.")
