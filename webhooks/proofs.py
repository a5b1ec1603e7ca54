"""Proofs that a callback comes from its vendor, as its settings and its definition name them
(docs/webhooks.md). All that are named must hold. Every comparison takes the same time for each
secret and value.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from vendors.definitions.callback import BODY, TIME, CallbackProof, Signature
from vendors.definitions.faults import DefinitionFaults
from vendors.models import Vendor
from webhooks import signatures
from webhooks.signatures import RefusedError

SECONDS = re.compile(r"[0-9]{1,16}")
MIN_MILLISECONDS = 10**11  # in seconds, the year 5138
PARTS = re.compile(r"[,;\s]+")
# Each timestamp costs a digest of the body, and a rotation has two.
MAX_TIMESTAMPS, MAX_SIGNATURES = 4, 20
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True)
class Request:
    """What of a request can prove where it comes from. `address` is empty if it is unknown."""

    headers: Mapping[str, str]
    body: bytes
    address: str


@dataclass(frozen=True)
class Proven:
    """A callback whose proofs hold. `has_secret`: one of them needs a secret."""

    has_secret: bool
    webhook_id: str = ""  # of Standard Webhooks
    secret_headers: frozenset[str] = SECRET_HEADERS  # in lower case; they may hold a secret


def verify(vendor: Vendor, request: Request, now: datetime, *, has_token: bool) -> Proven:
    """Check all proofs that the vendor must give. Raises RefusedError, and nothing else.

    `has_token`: whether the URL has a token, which is checked elsewhere. Without one, a vendor that
    need not prove anything is refused.
    """
    try:
        proof, secrets = vendor.callback_proof, vendor.callback_secrets
    except DefinitionFaults:
        raise RefusedError("proof_unreadable") from None
    if not (has_token or vendor.webhook_secret_env or (proof and proof.is_enough)):
        raise RefusedError("proof_unset")
    webhook_id = ""
    if vendor.webhook_secret_env:
        keys = vendor.webhook_secrets
        webhook_id = signatures.verify(keys, request.headers, request.body, now)
    if not proof:
        return Proven(bool(vendor.webhook_secret_env), webhook_id)
    webhook_id = _verify(proof, secrets, request, now) or webhook_id
    has_secret = proof.has_secret or bool(vendor.webhook_secret_env)
    return Proven(has_secret, webhook_id, SECRET_HEADERS | {proof.secret_header.lower()})


def _verify(proof: CallbackProof, secrets: Sequence[str], request: Request, now: datetime) -> str:
    """Check the proofs of a definition; return the webhook-id if Standard Webhooks is one."""
    headers, tolerance_seconds = request.headers, proof.tolerance_seconds
    if proof.addresses:
        _check_address(proof, request.address)
    if proof.has_secret and not secrets:
        raise RefusedError("secret_unset")
    if proof.secret_header:
        values = [proof.secret_prefix + secret for secret in secrets]
        _check_header(headers.get(proof.secret_header, ""), values)
    if proof.basic:
        _check_basic(headers.get("Authorization", ""), secrets)
    if proof.signature:
        _check_signature(proof.signature, secrets, request, now, tolerance_seconds)
    if not proof.standard_webhooks:
        return ""
    return signatures.verify(secrets, headers, request.body, now, tolerance_seconds)


def _check_address(proof: CallbackProof, address: str) -> None:
    if not address:
        raise RefusedError("address_unknown")
    if not any(ip_address(address) in network for network in proof.addresses):
        raise RefusedError("address_wrong")


def _check_header(given: str, expected: Sequence[str]) -> None:
    if not given:
        raise RefusedError("header_missing")
    if not _is_one_of(_bytes(given), map(_bytes, expected)):
        raise RefusedError("header_wrong")


def _check_basic(given: str, secrets: Sequence[str]) -> None:
    scheme, _, encoded = given.strip().partition(" ")
    if scheme.lower() != "basic":
        raise RefusedError("basic_missing")
    # A secret without a colon is a user name, with an empty password.
    pairs = [secret if ":" in secret else f"{secret}:" for secret in secrets]
    if not _is_one_of(_decoded(encoded), map(_bytes, pairs)):
        raise RefusedError("basic_wrong")


def _check_signature(
    rule: Signature,
    secrets: Sequence[str],
    request: Request,
    now: datetime,
    tolerance_seconds: float,
) -> None:
    candidates = _candidates(rule, request.headers)
    times = {time for time, _ in candidates}
    if len(times) > MAX_TIMESTAMPS or len(candidates) > MAX_SIGNATURES:
        raise RefusedError("signature_malformed")
    expected = {time: _digests(rule, secrets, time, request.body) for time in times}
    signed = [time for time, given in candidates if _is_one_of(given, expected[time])]
    if not signed:
        raise RefusedError("signature_wrong")
    if (rule.timestamp_header or rule.timestamp_part) and not any(
        abs(now.timestamp() - _seconds(time)) <= tolerance_seconds for time in signed
    ):
        raise RefusedError("timestamp_out_of_range")


def _candidates(rule: Signature, headers: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """Return each signature in the headers as bytes, after the timestamp that belongs to it."""
    value, time = headers.get(rule.header, "").strip(), ""
    if not value:
        raise RefusedError("signature_missing")
    if rule.timestamp_part:
        found = _parts(rule, value)
    else:
        if rule.timestamp_header:
            time = headers.get(rule.timestamp_header, "").strip()
            if not time:
                raise RefusedError("timestamp_missing")
        found = [(time, value)]
    texts = [(t, s.removeprefix(rule.prefix)) for t, s in found if s.startswith(rule.prefix)]
    has_times = bool(rule.timestamp_part or rule.timestamp_header)
    if not texts or (has_times and not all(SECONDS.fullmatch(time) for time, _ in texts)):
        raise RefusedError("signature_malformed")
    decode = _bytes_of_hex if rule.encoding == "hex" else _decoded
    return [(time, decode(text)) for time, text in texts]


def _parts(rule: Signature, value: str) -> list[tuple[str, str]]:
    """Return the parts of "t=1,v1=a,v1=b", or of several such groups in a rotation, with the
    timestamp of their group.
    """
    found, time = [], ""
    for part in PARTS.split(value):
        if part.startswith(rule.timestamp_part):
            time = part.removeprefix(rule.timestamp_part)
        elif part:
            found.append((time, part))
    return found


def _digests(rule: Signature, secrets: Sequence[str], time: str, body: bytes) -> list[bytes]:
    before, _, after = rule.signed.partition(BODY)
    before, after = before.replace(TIME, time), after.replace(TIME, time)
    message = _bytes(before) + body + _bytes(after)
    return [hmac.digest(_bytes(secret), message, rule.algorithm) for secret in secrets]


def _seconds(time: str) -> float:
    number = int(time)
    return number / 1000 if number >= MIN_MILLISECONDS else number


def _bytes_of_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _decoded(text: str) -> bytes:
    """Return the bytes of base64, of either alphabet, with or without padding; b"" if it is
    none.
    """
    try:
        padded = text.strip().rstrip("=").translate(str.maketrans("-_", "+/")).encode("ascii")
        return base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except ValueError:
        return b""


def _bytes(text: str) -> bytes:
    # A variable or a header may hold bytes that are no UTF-8.
    return text.encode("utf-8", "surrogatepass")


def _is_one_of(given: bytes, expected: Iterable[bytes]) -> bool:
    # A list, so that every one is compared: the time taken does not tell which one matched.
    return any([hmac.compare_digest(given, one) for one in expected])
