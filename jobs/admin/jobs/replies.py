"""What a vendor answered to a failed call, as the page of a job shows it."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin import formats

MAX_HEADERS = 30
MAX_HEADER_CHARACTERS = 300
MAX_BODY_CHARACTERS = 4096
NO_BODY = format_html("<p>{}</p>", "Without a body.")
HIDDEN_BODY = format_html(
    '<p class="quiet">{}</p>', "Its body is hidden: it may hold personal data."
)


def shown(reply: dict[str, Any], shows_body: bool) -> SafeString:
    """Return the vendor's reply, collapsed: status, headers and, if `shows_body`, its body."""
    headers = reply.get("headers")
    pairs = list(headers.items())[:MAX_HEADERS] if isinstance(headers, dict) else []
    lines = ([formats.truncated(str(part), MAX_HEADER_CHARACTERS) for part in it] for it in pairs)
    status = str(reply.get("status") or "without a status")
    return format_html(
        '<details class="reply"><summary>The vendor answered {}</summary>{}{}</details>',
        formats.truncated(status, MAX_HEADER_CHARACTERS),
        format_html_join("", "<div>{}: {}</div>", lines),
        _body(reply.get("body"), shows_body),
    )


def _body(body: Any, shows_body: bool) -> str | SafeString:
    if not body:
        return NO_BODY
    if not shows_body:
        return HIDDEN_BODY
    if isinstance(body, str):
        text = formats.truncated(body, MAX_BODY_CHARACTERS)
        return format_html('<pre class="json">{}</pre>', text)
    return formats.pretty(body)
