"""A call of the campaign's vendor: its mood and its response."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chaos.ledger import Answered, Event
from chaos.plans import Plan, is_charged, run_of

DEEP_LEVELS = 500

STATUSES = {
    "500": 500,
    "500_after_work": 500,
    "503": 503,
    "429_seconds": 429,
    "429_date": 429,
    "refused": 400,
    "redirect": 302,
    "denied": 401,
    "unpaid": 402,
    "unpaid_422": 422,
    "quota": 429,
}
SILENT = ("timeout", "hang", "reset")
CUT_SHORT = (*SILENT, "reset_midway", "drip", "endless")


@dataclass(frozen=True)
class Call:
    """One call and its planned outcome."""

    vendor: str
    key: str
    number: int
    mood: str
    plan: Plan
    result: dict[str, Any]
    callback_url: str = ""  # empty for a sync vendor
    other_url: str = ""  # the callback URL of another job of this vendor, for forgers
    content: Any = None  # the answer of a vendor without code
    good_status: int = 200
    reference: str = ""  # the vendor's own, if it has one

    @property
    def callback(self) -> str:
        return self.plan.callback_of(run_of(self.key), self.number)

    @property
    def status(self) -> int | None:
        """The status of the response; None if there is none."""
        if self.mood in SILENT:
            return None
        is_async = self.callback_url and self.content is None
        return STATUSES.get(self.mood, 202 if is_async else self.good_status)

    @property
    def ending(self) -> str:
        return self.plan.ending_of(run_of(self.key))

    def answered(self, at: float, is_whole: bool) -> Event:
        """Return what to write down about its answer."""
        charged = is_charged(self.mood)
        return Answered(at, self.vendor, self.key, self.number, self.status, is_whole, charged)

    @property
    def attempt(self) -> int | None:
        """The attempt named by the callback URL's token."""
        parts = token_of(self.callback_url).split(".")
        return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None

    def body(self) -> bytes:
        answer: Any = {"accepted": True} if self.callback_url else self.result
        answer = answer if self.content is None else self.content
        match self.mood:
            case mood if mood in STATUSES:
                answer = {"error": mood}
            case "array":
                answer = [answer]
            case "nan":
                answer = {**answer, "nan": float("nan")}
            case "deep":
                answer = {**answer, "deep": json.loads("[" * DEEP_LEVELS + "]" * DEEP_LEVELS)}
            case "html":
                return b"<!doctype html><title>Back soon</title>"
        body = json.dumps(answer).encode()
        return body[:-2] if self.mood == "truncated_json" else body

    def headers(self, now: datetime) -> dict[str, str]:
        match self.mood:
            case "429_seconds":
                return {"Retry-After": "1"}
            case "429_date":
                return {"Retry-After": format_datetime(now + timedelta(seconds=2), usegmt=True)}
            case "redirect":
                return {"Location": f"/{self.vendor}"}
        return {}


def token_of(callback_url: str) -> str:
    return parse_qs(urlsplit(callback_url).query).get("token", [""])[0]
