"""Where a key stands in a request."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from vendors.definitions.request import Request


@dataclass(frozen=True)
class Placement:
    """`place` is header, query, body, basic or nowhere; `name` is that of the header, parameter or
    field.
    """

    place: str
    name: str
    prefix: str = ""

    def put(self, request: Request, key: str) -> Request:
        """Return the request with the key in its place. The definition's own value there is
        replaced.

        Raises ValueError if the key has no place, for example in a body that is a list.
        """
        name = self.name
        match self.place:
            case "header" | "basic":
                value = f"Basic {basic(key)}" if self.place == "basic" else self.prefix + key
                others = {it: request.headers[it] for it in request.headers if not _same(it, name)}
                return replace(request, headers={**others, name: value})
            case "query":
                return replace(request, query=[*_without(request.query, name), (name, key)])
            case "nowhere":
                return request
        if request.form is not None:
            return replace(request, form=[*_without(request.form, name), (name, key)])
        if isinstance(request.json, dict):
            return replace(request, json={**request.json, name: key})
        raise ValueError(
            "The credential's key belongs in the body, but the body is neither an object nor a "
            "form."
        )

    def can_hold(self, key: str) -> bool:
        """Whether the key can be sent from here."""
        return key.isprintable() and (key.isascii() or self.place != "header")

    def spellings(self, key: str) -> Iterator[str]:
        """Yield every spelling in which the key may stand in a request or in an answer."""
        yield from {key, quote(key, safe="")}
        if self.place == "basic":
            yield basic(key)
            # Some vendors take the key as the user, with any password.
            yield from key.partition(":")[::2]


def basic(key: str) -> str:
    """Return the user and the password of basic authentication as the header has them."""
    return base64.b64encode((key if ":" in key else f"{key}:").encode()).decode()


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _without(pairs: list[tuple[str, str]], name: str) -> list[tuple[str, str]]:
    return [pair for pair in pairs if pair[0] != name]
