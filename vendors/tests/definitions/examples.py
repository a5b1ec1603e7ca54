"""Definitions that work, to be broken by tests."""

from typing import Any

URL = "POST https://api.vendor.test/v1/people/{input.id}"
POLL_URL = "GET https://api.vendor.test/v1/work/{ref}"


def definition(**changes: Any) -> dict[str, Any]:
    """Return a definition that uses every key. A change to None removes the key."""
    whole = {
        "query": {"email": "{input.email}", "fields": ["a", "b"]},
        "headers": {"Accept": "application/json", "X-Source": "{job.id}"},
        "json": {"name": "{input.email}", "list": [{"deep": "{call.id}"}]},
        "input": {"id": "required", "email": "optional"},
        "credential": "acme",
        "result": "body.data",
        "reference": "body.id",
        "confidence": "body.likelihood",
        "cost": 'headers."x-credits"',
        "outcomes": [
            {"status": 404, "is": "no_data"},
            {"status": [400, "5xx"], "when": "body.code == 'x'", "is": "no_credits"},
        ],
        "callback": callback(),
        "poll": poll(),
        "check": {"url": "GET https://api.vendor.test/account", "credits": "body.left"},
        "proxy_env": "VENDOR_PROXY",
        "ca_file": "/etc/ssl/acme.pem",
    }
    return {key: value for key, value in {**whole, **changes}.items() if value is not None}


def poll(**changes: Any) -> dict[str, Any]:
    whole = {
        "url": POLL_URL,
        "after": "10s",
        "every": "5s",
        "give_up": "10min",
        "pending": [{"when": "body.status == 'running'"}],
        "result": "body.result",
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def callback(**changes: Any) -> dict[str, Any]:
    whole = {
        "hmac": "sha256",
        "header": "X-Signature",
        "secret_env": "VENDOR_ACME_SECRET",
        "reference": "body.id",
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}
