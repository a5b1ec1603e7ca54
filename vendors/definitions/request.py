"""A request to a vendor, before it is encoded and sent."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from vendors.payloads import exact

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


@dataclass(frozen=True)
class Request:
    """`url` is complete, except for `query`: its placeholders are filled and percent-encoded.

    The values of `query` and `form` are plain text. At most one of `json` and `form` is set.
    """

    method: str
    url: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    json: Any | None = None
    form: list[tuple[str, str]] | None = None

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever the case of its name."""
        found = (value for key, value in self.headers.items() if key.lower() == name.lower())
        return next(found, None)

    def encoded(self) -> tuple[str, dict[str, str], bytes]:
        """Return the URL, the headers and the body to send."""
        url = self.url
        if self.query:
            url += ("&" if "?" in url else "?") + _urlencoded(self.query)
        content_type, body = self._body()
        headers = dict(self.headers)
        if content_type and self.header("Content-Type") is None:
            headers["Content-Type"] = content_type
        return url, headers, body

    def _body(self) -> tuple[str, bytes]:
        if self.json is not None:
            return JSON_TYPE, exact.write(self.json).encode()
        if self.form is not None:
            return FORM_TYPE, _urlencoded(self.form).encode()
        return "", b""


def _urlencoded(pairs: list[tuple[str, str]]) -> str:
    # %20 instead of "+", which only forms read as a space. A lone surrogate is no character.
    return urlencode(pairs, quote_via=quote, safe="", errors="replace")
