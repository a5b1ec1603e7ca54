"""Signs requests: an HMAC over named parts of each, in a header."""

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from vendors import variables
from vendors.definitions.callback import ALGORITHMS, ENCODINGS
from vendors.definitions.faults import DefinitionFaults, Faults
from vendors.definitions.request import HEADER_NAME, Request
from vendors.http.transport import target_of

KEYS = ("hmac", "header", "encoding", "prefix", "signed", "timestamp_header", "secret_env")
PARTS = ("t", "method", "path", "query", "body", "ref")
PART = re.compile(r"\{([a-z]+)\}")
DEFAULT_SIGNED = "{body}"
UNKNOWN = f"Must be a text with these names in braces: {', '.join(PARTS)}."
NOTHING = 'Must name at least one part of the request, such as "{method}{path}{body}".'
NO_TIME = "Must name the header that holds {t}, or the vendor can't check it."


@dataclass(frozen=True)
class Signing:
    """`signed` has names of PARTS in braces. Without `secret_env`, the credential's key signs."""

    algorithm: str
    header: str
    encoding: str = "hex"
    prefix: str = ""
    signed: str = DEFAULT_SIGNED
    timestamp_header: str = ""
    secret_env: str = ""

    def sign(self, request: Request, key: str, *, reference: str, at: float) -> Request:
        """Return the request as it is sent, with its signature. `at`: Unix seconds.

        `reference` is what the vendor calls the work that the request is about; '' for none.
        """
        url, headers, body = request.encoded()
        timestamp = str(int(at))
        if self.timestamp_header:
            headers = _with(headers, self.timestamp_header, timestamp)
        path = target_of(url)
        found: dict[str, bytes] = {
            "t": timestamp.encode(),
            "method": request.method.encode(),
            "path": path.encode(),
            "query": path.partition("?")[2].encode(),
            "body": body,
            "ref": reference.encode(),
        }
        digest = hmac.digest(key.encode(), self._filled(found), self.algorithm)
        shown = digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode()
        return replace(request, headers=_with(headers, self.header, self.prefix + shown))

    def _filled(self, parts: Mapping[str, bytes]) -> bytes:
        # Literal texts and names, in turn.
        pieces = PART.split(self.signed)
        texts = (piece.encode() if at % 2 == 0 else parts[piece] for at, piece in enumerate(pieces))
        return b"".join(texts)


def parse(table: object) -> Signing:
    """Return what the table `sign` says. Raises DefinitionFaults."""
    faults = Faults()
    given = faults.table(table, "")
    faults.note_unknown(given, KEYS, "")
    for name, (wanted, fits) in CHECKS.items():
        if (name in given or name in ("hmac", "header")) and not fits(given.get(name)):
            faults.note(name, wanted)
    _check_signed(given, faults)
    if "secret_env" in given:
        variable = given["secret_env"]
        if refusal := variables.refusal(variable if isinstance(variable, str) else ""):
            faults.note("secret_env", refusal)
    if faults:
        raise DefinitionFaults(faults)
    others = {name: value for name, value in given.items() if name != "hmac"}
    return Signing(given["hmac"], **others)


def _check_signed(given: Mapping[str, Any], faults: Faults) -> None:
    signed = given.get("signed", DEFAULT_SIGNED)
    if not isinstance(signed, str):
        return faults.note("signed", UNKNOWN)
    names = PART.findall(signed)
    literal = PART.sub("", signed)
    if "{" in literal or "}" in literal or not set(names) <= set(PARTS):
        faults.note("signed", UNKNOWN)
    elif not names:
        faults.note("signed", NOTHING)
    elif "t" in names and "timestamp_header" not in given:
        faults.note("timestamp_header", NO_TIME)
    elif "t" not in names and "timestamp_header" in given:
        faults.note("signed", "Must contain {t}: a timestamp that is not signed proves nothing.")
    return None


def _with(headers: Mapping[str, str], name: str, value: str) -> dict[str, str]:
    others = {it: headers[it] for it in headers if it.lower() != name.lower()}
    return {**others, name: value}


def _is_header(value: object) -> bool:
    return isinstance(value, str) and bool(HEADER_NAME.fullmatch(value))


HEADER = "Must be the name of a header, such as X-Signature."
CHECKS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "hmac": (f"Must be {', '.join(ALGORITHMS[:-1])} or {ALGORITHMS[-1]}.", ALGORITHMS.__contains__),
    "header": (HEADER, _is_header),
    "timestamp_header": (HEADER, _is_header),
    "encoding": (f"Must be {' or '.join(ENCODINGS)}.", ENCODINGS.__contains__),
    "prefix": (
        "Must be ASCII text.",
        lambda value: isinstance(value, str) and value.isascii() and value.isprintable(),
    ),
}
