"""Every code of a problem, the statuses it comes with, and what a client does about it.

The OpenAPI document and the table in docs/api.md are made of this.
"""

from collections.abc import Iterable
from typing import NamedTuple


class ProblemType(NamedTuple):
    """Codes with the same status and the same remedy."""

    status: int
    codes: tuple[str, ...]
    remedy: str


RETRY = "Try again after `Retry-After` seconds."

PROBLEM_TYPES = (
    ProblemType(
        400,
        ("invalid_json",),
        "Send JSON in UTF-8: no NaN, no lone surrogates, no numbers beyond 1.7e308 or 1000 digits, "
        "no two fields of the same name in an object, at most 32 levels.",
    ),
    ProblemType(400, ("not_an_object",), "Send a JSON object."),
    ProblemType(
        400,
        ("unknown_vendor", "vendor_disabled"),
        "Use one of the vendors listed in `detail` (at most 20), or in `GET /vendors`.",
    ),
    ProblemType(400, ("unknown_option",), "Use only the documented options."),
    ProblemType(400, ("unknown_field",), "A batch has only the documented fields."),
    ProblemType(400, ("empty_batch",), "Send at least one job."),
    ProblemType(
        400, ("duplicate_reference",), "Give each job of a batch a reference of its own, or none."
    ),
    ProblemType(
        400,
        (
            *("required", "null", "blank", "invalid", "max_length", "null_characters_not_allowed"),
            *("direction_control", "not_a_dict", "min_value", "max_value", "overflow", "bad_key"),
            "expires_too_early",
        ),
        "Correct the field that `pointer` names, or the parameter that `parameter` names.",
    ),
    ProblemType(
        400,
        (
            *("unknown_parameter", "repeated_parameter", "bad_cursor", "invalid_choice"),
            *("max_string_length", "bad_fields"),
        ),
        "Correct the parameter. Without `cursor`, a list starts from the beginning.",
    ),
    ProblemType(400, ("not_valid",), "Several of the above; see `errors`."),
    ProblemType(
        400,
        ("bad_idempotency_key",),
        "Send 1 to 255 printable ASCII characters, in quotes if one is a comma.",
    ),
    ProblemType(
        400,
        ("idempotency_key_required",),
        "Send an Idempotency-Key: with it, lines that were cut off can be sent again.",
    ),
    ProblemType(400, ("body_cut_short",), "The connection ended early. Send the request again."),
    ProblemType(400, ("bad_request",), "Ask the operator to add your host name to ALLOWED_HOSTS."),
    ProblemType(
        400,
        ("bad_request_line", "bad_header", "bad_chunk"),
        "This is not valid HTTP/1.1. Check the client or the proxy; TLS ends at the proxy.",
    ),
    ProblemType(
        401,
        ("unauthorized",),
        "Send a valid API key in `Authorization: Bearer`. The answer is the same whether it is "
        "missing, malformed, unknown, expired or revoked.",
    ),
    ProblemType(403, ("missing_scope",), "Use an API key with the scope that `detail` names."),
    ProblemType(
        403,
        ("vendor_not_allowed",),
        "Use an API key that may use this vendor; `detail` lists the vendors of this one.",
    ),
    ProblemType(403, ("cross_site",), "Call the API from a server, not from another site's page."),
    ProblemType(403, ("permission_denied",), "This is not allowed."),
    ProblemType(404, ("not_found",), "Check the id or the URL. Jobs of other clients don't exist."),
    ProblemType(405, ("method_not_allowed",), "Use one of the methods in `Allow`."),
    ProblemType(
        408,
        ("request_timeout",),
        "The request took too long to arrive: 5 s for the head, 10 s for the body. A batch may "
        "take 30 s in JSON, and 10 min as lines if a part comes every 10 s. Send it again.",
    ),
    ProblemType(
        409,
        ("call_under_way",),
        "The vendor is being called. Cancel the job after the call, if it is not final by then.",
    ),
    ProblemType(409, ("already_final", "already_complete"), "There is nothing to cancel or retry."),
    ProblemType(
        409,
        ("not_final",),
        "Wait for the job to end, or cancel it, before you retry it. A batch can be retried when "
        "all of its items have come.",
    ),
    ProblemType(
        409,
        ("nothing_to_retry",),
        "No job of this batch has failed. Cancelled jobs are retried one by one.",
    ),
    ProblemType(
        409, ("not_finished",), "Wait until the batch is finished, or ask with `partial=true`."
    ),
    ProblemType(
        409, ("vendor_unknown",), "The job's vendor was deleted. Create it again, then retry."
    ),
    ProblemType(409, ("moved_on",), "The job changed at the same moment. Fetch it and try again."),
    ProblemType(
        409,
        ("batch_sealed",),
        "All items of this batch have come. Send the others as a new batch, with another key.",
    ),
    ProblemType(
        413, ("too_large",), "Send at most 64 KiB for each job, and 4 MiB for a batch in JSON."
    ),
    ProblemType(
        413,
        ("too_many_jobs",),
        "Send at most 1,000 jobs in JSON, and 50,000 as lines. The rest is another batch.",
    ),
    ProblemType(414, ("address_too_long",), "Send at most 4,094 bytes in the request line."),
    ProblemType(415, ("unsupported_media_type",), "Send `Content-Type: application/json`."),
    ProblemType(
        415,
        ("unsupported_encoding",),
        "Send the body uncompressed: no `Content-Encoding`, no `Transfer-Encoding` other than "
        "`chunked`.",
    ),
    ProblemType(417, ("expectation_failed",), "Expect `100-continue` or nothing."),
    ProblemType(
        422,
        ("idempotency_key_reused",),
        "This key was used for another body. Use a new key for a new job or batch.",
    ),
    ProblemType(429, ("queue_full",), f"This vendor's queue is full. {RETRY}"),
    ProblemType(429, ("rate_limited",), f"The client's request limit is reached. {RETRY}"),
    ProblemType(
        431, ("head_too_large",), "Send at most 8 KiB in each header and 64 KiB in all headers."
    ),
    ProblemType(500, ("server_error",), "Tell the operator; the log has the reason."),
    ProblemType(501, ("unsupported_transfer_coding",), "Send the body with its length or chunked."),
    ProblemType(
        503,
        ("overloaded",),
        "There are too many requests, or the service is stopping. Nothing was done, except for "
        f"what an upload of lines had sent before. {RETRY}",
    ),
    ProblemType(
        503,
        ("store_unavailable",),
        f"{RETRY} If `detail` says that the store's file was removed, tell the operator.",
    ),
)

BY_CODE = {code: each for each in PROBLEM_TYPES for code in each.codes}


def by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """Return the codes grouped by their status, both in the order of the table."""
    wanted, found = set(codes), dict[int, list[str]]()
    for code, kind in BY_CODE.items():
        if code in wanted:
            found.setdefault(kind.status, []).append(code)
    return found


def described(codes: Iterable[str]) -> str:
    """Return the codes and their remedies, as Markdown."""
    kinds: dict[ProblemType, list[str]] = {}
    for code in codes:
        kinds.setdefault(BY_CODE[code], []).append(f"`{code}`")
    return "\n".join(f"- {', '.join(names)}: {kind.remedy}" for kind, names in kinds.items())


def table() -> str:
    """Return all codes as a table in Markdown."""
    rows = ["| status | code | what to do |", "|---|---|---|"]
    for kind in PROBLEM_TYPES:
        codes = ", ".join(f"`{code}`" for code in kind.codes)
        rows.append(f"| {kind.status} | {codes} | {kind.remedy} |")
    return "\n".join(rows)
