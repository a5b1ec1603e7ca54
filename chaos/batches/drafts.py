"""What clients post in each batch: a pure function of the seed, the batch's number and the time of
its first upload, so that an upload can be repeated byte by byte.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate, count
from typing import Any
from urllib.parse import urlencode

from chaos.submissions import CLIENTS, submission_of

# Serial numbers of their own. A multiple of the number of clients.
FIRST_SERIAL = 9_000_000
MAX_ITEMS = 1000

JSON, NDJSON = "json", "ndjson"
# Format, and what the client does, of ten batches in turn.
SHAPES = (
    (JSON, ""),
    (NDJSON, "cut"),  # cuts the first upload off half way
    (JSON, "at_once"),  # sends the same upload twice at once
    (NDJSON, "retry"),  # retries what has failed, while it runs and at the end
    (NDJSON, "cancel_upload"),  # cancels it half way through the upload, which goes on
    (NDJSON, "at_once"),
    (JSON, "cancel"),  # cancels it when it is sealed
    (NDJSON, ""),
    (JSON, "retry"),
    (NDJSON, "cancel"),
)
SIZES = {JSON: (5, 25), NDJSON: (20, 70)}
INVALID_PERCENT = 6
PIECES = (4, 10)  # of an NDJSON upload

# How an item is made invalid, and the code with which it is refused. Those of NDJSON only.
INVALID = {
    "vendor": "unknown_vendor",
    "name": "blank",
    "option": "unknown_option",
    "reference": "duplicate_reference",
    "array": "not_an_object",
}
INVALID_LINES = {**INVALID, "cut_line": "invalid_json"}


@dataclass(frozen=True)
class Item:
    index: int
    serial: int
    line: str  # JSON, unless it is invalid
    vendor: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""  # with which it must be refused; "" for a job


@dataclass(frozen=True)
class Draft:
    """A batch as its client means it."""

    number: int
    client: str
    form: str
    manner: str
    vendor: str  # the default
    items: Sequence[Item]
    piece_ends: Sequence[int] = ()  # where the body is cut into pieces

    @property
    def key(self) -> str:
        """The same as those of some jobs, which it has nothing to do with."""
        return f"order-{self.number}"

    @property
    def reference(self) -> str:
        return f"batch-{self.number}"

    @property
    def options(self) -> dict[str, Any]:
        """The default options."""
        return {"metadata": {"batch": str(self.number)}}

    @property
    def path(self) -> str:
        if self.form == JSON:
            return "/batches"
        defaults = {"vendor": self.vendor, "reference": self.reference}
        return f"/batches?{urlencode({**defaults, 'options': json.dumps(self.options)})}"

    @property
    def headers(self) -> dict[str, str]:
        content_type = {JSON: "application/json", NDJSON: "application/x-ndjson"}[self.form]
        return {"Content-Type": content_type, "Idempotency-Key": self.key}

    @property
    def body(self) -> bytes:
        lines = [item.line for item in self.items]
        if self.form == NDJSON:
            return ("\n".join(lines) + "\n").encode()
        fields = {"vendor": self.vendor, "reference": self.reference, "options": self.options}
        return f'{json.dumps(fields)[:-1]}, "jobs": [{", ".join(lines)}]}}'.encode()

    @property
    def length(self) -> int | None:
        """The Content-Length, or None for a chunked upload."""
        return len(self.body) if self.form == JSON or self.number % 4 > 1 else None

    def pieces(self) -> Iterator[bytes]:
        body, start = self.body, 0
        for end in (*self.piece_ends, len(body)):
            yield body[start:end]
            start = end


def draft_of(seed: int, number: int, now: datetime) -> Draft:
    chance = random.Random(f"{seed}/batch/{number}")
    form, manner = SHAPES[(seed + number) % len(SHAPES)]
    client = CLIENTS[number % len(CLIENTS)]
    items = [_item(seed, number, index, now) for index in range(chance.randint(*SIZES[form]))]
    vendor = chance.choice(items).vendor
    posted: list[Item] = []
    for item in items:
        posted.append(_posted(chance, posted, item, form, vendor))
    draft = Draft(number, client, form, manner, vendor, posted)
    ends = sorted(chance.sample(range(1, len(draft.body)), chance.randint(*PIECES)))
    return replace(draft, piece_ends=ends) if form == NDJSON else draft


def size_of(seed: int, number: int) -> int:
    form, _ = SHAPES[(seed + number) % len(SHAPES)]
    return random.Random(f"{seed}/batch/{number}").randint(*SIZES[form])


def due_times(seed: int, rate: float) -> Iterator[float]:
    """Yield when each batch is posted, in seconds from the start, for that many items a second."""
    sizes = (size_of(seed, number) for number in count())
    yield from accumulate(sizes, lambda at, size: at + size / rate, initial=1.0)


def _item(seed: int, number: int, index: int, now: datetime) -> Item:
    """Return a valid item, with all of its fields."""
    serial = FIRST_SERIAL + (number * MAX_ITEMS + index) * len(CLIENTS) + number % len(CLIENTS) + 1
    submission = submission_of(seed, serial, now)
    options = {**submission.options, "reference": f"row-{index}"}
    line = json.dumps({**submission.body, "options": options})
    return Item(index, serial, line, submission.vendor, options)


def _posted(
    chance: random.Random, before: Sequence[Item], item: Item, form: str, default: str
) -> Item:
    """Return the item as it is posted: perhaps invalid, and without what the default says."""
    body = json.loads(item.line)
    if body["vendor"] == default:
        del body["vendor"]
    if chance.random() * 100 >= INVALID_PERCENT:
        return replace(item, line=json.dumps(body))
    jobs = [each.index for each in before if not each.code]
    faults = INVALID_LINES if form == NDJSON else INVALID
    fault = chance.choice([each for each in faults if jobs or each != "reference"])
    line = _broken(fault, body, chance.choice(jobs) if jobs else 0)
    return replace(item, line=line, code=faults[fault])


def _broken(fault: str, body: dict[str, Any], other: int) -> str:
    match fault:
        case "vendor":
            body["vendor"] = "nobody"
        case "name":
            body["name"] = " "
        case "option":
            body["options"]["colour"] = "red"
        case "reference":
            body["options"]["reference"] = f"row-{other}"
        case "array":
            return json.dumps([body])
        case "cut_line":
            return json.dumps(body)[:-1]
    return json.dumps(body)
