"""A call of the campaign's vendor: its mood and its response."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chaos.plans import Plan, run_of

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

    @property
    def callback(self) -> str:
        return self.plan.callback_of(run_of(self.key), self.number)

    @property
    def status(self) -> int | None:
        """The status of the response; None if there is none."""
        return (
            None
            if self.mood in SILENT
            else STATUSES.get(self.mood, 202 if self.callback_url else 200)
        )

    @property
    def attempt(self) -> int | None:
        """The attempt named by the callback URL's token."""
        parts = token_of(self.callback_url).split(".")
        return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None

    def body(self) -> bytes:
        answer: Any = {"accepted": True} if self.callback_url else self.result
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
