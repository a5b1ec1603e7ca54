"""The definitions of the campaign's vendors without code, by slug.

- `polled` is asked until it is done.
- `posted` posts its answer to the URL of the whole account, signed, and is polled if that is lost.
- `thin` posts only that it is done, to the URL of the job, signed.
- `confirmed` proves nothing, so that nothing it posts is believed: it is polled.
- `lookup` answers at once, with 404 for whom it does not know.
"""

from typing import Any

from chaos.limits.definitions import POLL_WEIGHTS, limited

SECRET_ENV = "VENDOR_CHAOS_SECRET"  # noqa: S105 - the name of a variable
SECRET = "made up for the campaign too"  # noqa: S105
ACCOUNT = "http://account"  # stands for the address at which callbacks are received

SIGNATURE = {
    "hmac": "sha256",
    "header": "X-Signature",
    "timestamp": "t=",
    "signed": "{t}.{body}",
    "secret_env": SECRET_ENV,
}
ALL: dict[str, Any] = {
    "credential": "chaos",
    "result": "body.result",
    "input": {"name": "required", "serial": "required"},
    # Polls keep these vendors at their limits, and a busy machine delays some calls by more than
    # the default.
    "arrival_margin_ms": 200,
    "outcomes": [
        {"when": "body.state == 'nothing'", "is": "no_data"},
        {"status": 422, "when": "body.error == 'unpaid_422'", "is": "no_credits"},
    ],
}
WORKS = {**ALL, "reference": "body.id"}
BODY = {"name": "{input.name}", "serial": "{input.serial}"}
PENDING = {"pending": [{"when": "body.state == 'working'"}]}

DEFINITIONS: dict[str, dict[str, Any]] = {
    "polled": {
        **WORKS,
        **limited("polled"),
        "json": BODY,
        "rate_limits": "15/s, 600/min",
        "max_in_flight": 60,
        "poll": {**PENDING, "every": "2s", "give_up": "15s"},
    },
    "posted": {
        **WORKS,
        **limited("posted"),
        "json": {**BODY, "callback": f"{ACCOUNT}/vendor-webhook/posted"},
        "rate_limits": "14/s",
        "max_in_flight": 40,
        "callback": {**SIGNATURE, "reference": "body.id"},
        "poll": {**PENDING, "after": "6s", "every": "3s"},
    },
    "thin": {
        **WORKS,
        **limited("thin"),
        "json": {**BODY, "callback": "{call.callback_url}"},
        "rate_limits": "8/s",
        "max_in_flight": 30,
        "callback": {**SIGNATURE, "thin": True},
        "poll": {**PENDING, "after": "9s", "every": "8s", "weight": POLL_WEIGHTS["thin"]},
    },
    "confirmed": {
        **WORKS,
        **limited("confirmed"),
        "json": {**BODY, "callback": f"{ACCOUNT}/vendor-webhook/confirmed"},
        "rate_limits": "8/s",
        "callback": {"confirm": True, "reference": "body.id"},
        "poll": {**PENDING, "after": "6s", "every": "5s"},
    },
    "lookup": {
        **ALL,
        **limited("lookup"),
        "query": {"name": "{input.name}"},
        "outcomes": [*ALL["outcomes"], {"status": 404, "is": "no_data"}],
        "rate_limits": "10/s",
        "max_in_flight": 10,
    },
}
SHARES = {"polled": 12, "posted": 9, "thin": 5, "confirmed": 4, "lookup": 8}  # of 100 jobs
CALLING_BACK = ("posted", "thin", "confirmed")


def address_of(slug: str, base: str) -> str:
    """Return the `url` of one of these vendors, served below `base`."""
    return f"GET {base}/{slug}/{{input.serial}}" if slug == "lookup" else f"POST {base}/{slug}"


def placed(slug: str, base: str, account: str) -> dict[str, Any]:
    """Return the definition with the addresses in it."""
    definition = dict(DEFINITIONS[slug])
    if "json" in definition:
        texts = definition["json"].items()
        definition["json"] = {key: text.replace(ACCOUNT, account) for key, text in texts}
    if "poll" in definition:
        definition["poll"] = {"url": f"GET {base}/{slug}/{{ref}}", **definition["poll"]}
    return definition
