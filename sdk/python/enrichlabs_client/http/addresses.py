"""The path and the query of a request."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from enrichlabs_client.errors import InvalidArgument


def path_of(*parts: str) -> str:
    try:
        return "".join("/" + quote(part, safe="") for part in parts)
    except UnicodeEncodeError:
        raise InvalidArgument("An id has half of a surrogate pair, which is no text.") from None


def with_query(path: str, query: Mapping[str, object]) -> str:
    """Return the path with those of the parameters that have a value."""
    given = {name: value for name, value in query.items() if value is not None}
    for name, value in given.items():
        try:
            str(value).encode()
        except UnicodeEncodeError:
            raise InvalidArgument(
                f"The {name} has half of a surrogate pair, which is no text."
            ) from None
    return path + (f"?{urlencode(given)}" if given else "")
