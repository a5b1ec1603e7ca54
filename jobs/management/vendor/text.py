"""A report for the terminal: each request and response, then the outcome."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from jobs.trials.report import MAX_BODY_LENGTH
from vendors.base import Outcome
from vendors.models import Vendor

UNMATCHED = "The vendor's callback will belong to no job, and is stored as unmatched."


def lines(vendor: Vendor, report: Mapping[str, Any]) -> Iterator[str]:
    for exchange in report["exchanges"]:
        yield from _section("Request", _request(exchange))
        yield from _section("Response", _response(exchange))
    title = f"Outcome after {report['seconds']:.2f} s"
    yield from _section(title, [report["outcome"], *_details(vendor, report)])


def _section(title: str, content: list[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in content if line)]


def _request(exchange: Mapping[str, Any]) -> list[str]:
    headers = _headers(exchange["request_headers"])
    return [f"{exchange['method']} {exchange['url']}", *headers, exchange["request_body"]]


def _response(exchange: Mapping[str, Any]) -> list[str]:
    if exchange["status"] is None:
        return ["none"]
    headers = _headers(exchange["response_headers"])
    return [f"status {exchange['status']}", *headers, exchange["response_body"]]


def _headers(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def _details(vendor: Vendor, report: Mapping[str, Any]) -> Iterator[str]:
    yield report["message"]
    if rule := next((each["rule"] for each in reversed(report["exchanges"])), ""):
        yield f"rule: {rule}"
    for name in ("cost", "confidence"):
        if report[name] is not None:
            yield f"{name}: {report[name]:g}"
    if report["result"] is not None:
        yield json.dumps(report["result"], ensure_ascii=False, default=str)[:MAX_BODY_LENGTH]
    if report["outcome"] == Outcome.PENDING:
        yield from _wait(vendor, report)


def _wait(vendor: Vendor, report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what would end the wait of a job with this answer."""
    reference = report["reference"]
    if reference:
        yield f"reference: {reference}"
    if (seconds := report["poll_after_seconds"]) is not None:
        by_hand = f"--poll {shlex.quote(reference)}" if reference else "--poll"
        yield f"A job would be polled after {seconds:g} s. To poll by hand, add {by_hand}"
    if vendor.expects_callback:
        yield UNMATCHED
