"""The answers of real vendors, as `vendors/gallery/answers` records them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from harness.vendor.scripted import Answer, Arrival

ROOT = Path(__file__).parents[2]
ANSWERS = ROOT / "vendors/gallery/answers"
KEY = "test-key"  # the key that the recorded requests carry
JOB_ID, CALLBACK_URL = "JOB_ID", "CALLBACK_URL"  # stand for what is new with each job


@dataclass(frozen=True)
class Exchange:
    """One request, and what the vendor answers to it."""

    request: Mapping[str, Any]
    status: int
    headers: Mapping[str, str]
    body: Any  # JSON, or text
    expect: Mapping[str, Any]

    @property
    def answer(self) -> Answer:
        headers = tuple(self.headers.items())
        if not isinstance(self.body, str):
            return Answer(self.status, self.body, headers)
        return Answer(self.status, text=self.body, headers=headers)

    def difference(self, arrival: Arrival, known: Mapping[str, str] | None = None) -> list[str]:
        """Return how an arrival differs from the recorded request. `known` replaces JOB_ID and
        CALLBACK_URL.
        """
        expected, path = self.request, urlsplit(arrival.path)
        headers = expected.get("headers", {})
        text = json.dumps(expected.get("body"))
        for name, value in (known or {}).items():
            text = text.replace(name, value)
        pairs = {
            "method": (arrival.method, expected["method"]),
            "path": (path.path or "/", expected["path"]),
            "query": (dict(parse_qsl(path.query)), expected.get("query", {})),
            "headers": ({name: arrival.headers.get(name) for name in headers}, headers),
            "body": (body_of(arrival), json.loads(text)),
        }
        return [
            f"{name}: {came!r} is not {wanted!r}"
            for name, (came, wanted) in pairs.items()
            if came != wanted
        ]


@dataclass(frozen=True)
class Recording:
    """A call of a vendor, the polls that follow, and the callback that may end it."""

    vendor: str
    name: str
    input: Mapping[str, Any]
    exchanges: tuple[Exchange, ...]
    callback: Mapping[str, Any] | None

    @property
    def call(self) -> Exchange:
        return self.exchanges[0]

    @property
    def is_call(self) -> bool:
        return not self.is_check and self.name != "token"

    @property
    def is_check(self) -> bool:
        return self.name.startswith("check")

    def __str__(self) -> str:
        return f"{self.vendor}-{self.name}"


def recordings(name: str) -> list[Recording]:
    """Return what is recorded for one definition of the gallery."""
    return [_recording(name, entry) for entry in json.loads((ANSWERS / f"{name}.json").read_text())]


def _recording(name: str, entry: dict[str, Any]) -> Recording:
    exchanges = tuple(
        Exchange(each["request"], each["status"], each["headers"], each["body"], each["expect"])
        for each in (entry, *entry.get("then", []))
    )
    vendor = entry.get("vendor", name)
    return Recording(vendor, entry["name"], entry["input"], exchanges, entry.get("callback"))


def token_of(name: str) -> Exchange | None:
    """Return how the vendor issues a token, if it does."""
    return next((each.call for each in recordings(name) if each.name == "token"), None)


def body_of(arrival: Arrival) -> Any:
    """Return the JSON value that was posted, or the fields of a form; None if there is no body."""
    if "form" in arrival.headers.get("content-type", ""):
        return dict(parse_qsl(arrival.content.decode()))
    return arrival.body if arrival.content else None


def segments(path: str) -> list[str]:
    return [unquote(segment) for segment in path.split("/")]
