"""How a callback is proven to come from its vendor: the `callback` of a definition."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from vendors import variables
from vendors.definitions import durations
from vendors.definitions.faults import DefinitionFaults, unknown_key

ALGORITHMS = ("sha1", "sha256", "sha512")
ENCODINGS = ("hex", "base64")
KEYS = (
    *("standard_webhooks", "hmac", "header", "encoding", "prefix", "signed", "timestamp"),
    *("tolerance", "basic", "secret_env", "addresses", "confirm"),
    *("reference", "thin", "result"),
)
DEFAULT_TOLERANCE = "5min"
MAX_TOLERANCE_SECONDS = 86400
MAX_ADDRESSES = 100
BODY, TIME = "{body}", "{t}"
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,100}")  # no _, which gateways drop
PART_NAME = re.compile(r"[A-Za-z0-9_-]{1,20}=")
NOT_BLANK = re.compile(r"(?s)(?=.*\S).{1,500}")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Signature:
    """An HMAC in a header."""

    algorithm: str
    header: str
    encoding: str
    prefix: str  # what stands before each signature
    signed: str  # what is signed, with {body} and, if there is a timestamp, {t}
    timestamp_header: str = ""  # where the timestamp is: in a header,
    timestamp_part: str = ""  # or in a part of the signature's header, such as "t="


@dataclass(frozen=True)
class CallbackProof:
    """What a callback must prove: all that is set here. The secrets are in `secret_env`."""

    standard_webhooks: bool = False
    signature: Signature | None = None
    secret_header: str = ""  # holds the secret itself,
    secret_prefix: str = ""  # after this text
    basic: bool = False
    addresses: tuple[Network, ...] = ()
    confirm: bool = False  # nothing in it is believed: it only makes the vendor be polled
    tolerance_seconds: float = 300
    secret_env: str = ""
    is_account_wide: bool = False  # comes to the URL of the whole account
    is_thin: bool = False  # has no result

    @property
    def has_secret(self) -> bool:
        """Whether only who knows a secret can make such a callback."""
        return bool(self.standard_webhooks or self.signature or self.secret_header or self.basic)

    @property
    def is_enough(self) -> bool:
        """Whether it does without a token in the URL."""
        return self.has_secret or bool(self.addresses) or self.confirm


def parse_proof(callback: Mapping[str, Any]) -> CallbackProof:
    """Return what the definition's `callback` says. Raises DefinitionFaults, for example for an
    unknown key: a proof that is not understood must never count as given.
    """
    reader = _Reader(callback)
    proof = reader.proof()
    if reader.faults:
        raise DefinitionFaults(reader.faults)
    return proof


class _Reader:
    """Reads the keys one by one, and notes their faults."""

    def __init__(self, callback: object) -> None:
        self.faults: dict[str, str] = {}
        if not isinstance(callback, Mapping):
            self._fault("", 'Must be a table, such as { hmac = "sha256", header = "X-Signature" }.')
            callback = {}
        self._given: Mapping[str, Any] = callback
        for key in callback:
            if key not in KEYS:
                self._fault(str(key), unknown_key(str(key), KEYS))

    def proof(self) -> CallbackProof:
        signature = self._signature() if "hmac" in self._given else None
        header = "" if signature or "hmac" in self._given else self._header("header")
        proof = CallbackProof(
            standard_webhooks=self._flag("standard_webhooks"),
            signature=signature,
            secret_header=header,
            secret_prefix=self._text("prefix") if header else "",
            basic=self._flag("basic"),
            addresses=self._addresses(),
            confirm=self._flag("confirm"),
            tolerance_seconds=self._tolerance(),
            secret_env=self._secret_env(),
            is_account_wide=bool(self._text("reference")),
            is_thin=self._flag("thin"),
        )
        self._text("result")
        self._check(proof)
        return proof

    def _check(self, proof: CallbackProof) -> None:
        """Note what is missing, and what would have no effect."""
        if proof.has_secret and not proof.secret_env:
            self._fault("secret_env", "Must name the environment variable that holds the secret.")
        if proof.secret_env and not proof.has_secret and not self.faults:
            needs = "standard_webhooks, hmac, header or basic"
            self._fault("secret_env", f"Has no effect without {needs}.")
        if proof.is_account_wide and not proof.is_enough:
            self._fault(
                "reference",
                "Needs a proof, because the URL of the whole account has no token: "
                "standard_webhooks, hmac, header, basic, addresses or confirm.",
            )
        if "hmac" not in self._given:
            self._have_no_effect("encoding", "signed", "timestamp", without="hmac")
        if "hmac" not in self._given and "header" not in self._given:
            self._have_no_effect("prefix", without="header")
        has_time = proof.standard_webhooks or "timestamp" in self._given
        if not has_time:
            self._have_no_effect("tolerance", without="timestamp")

    def _have_no_effect(self, *keys: str, without: str) -> None:
        for key in keys:
            if key in self._given:
                self._fault(key, f"Has no effect without {without}.")

    def _signature(self) -> Signature:
        if "header" not in self._given:
            self._fault("header", "Must name the header that holds the signature.")
        timestamp, part = self._text("timestamp"), ""
        if timestamp.endswith("="):
            example = 'Must be the name of a part and =, such as "t=".'
            timestamp, part = "", self._text("timestamp", PART_NAME, example)
        elif timestamp:
            timestamp = self._header("timestamp")
        return Signature(
            algorithm=self._choice("hmac", ALGORITHMS),
            header=self._header("header"),
            encoding=self._choice("encoding", ENCODINGS, default="hex"),
            prefix=self._text("prefix") or ("v1=" if part else ""),
            signed=self._signed(has_time=bool(timestamp or part)),
            timestamp_header=timestamp,
            timestamp_part=part,
        )

    def _signed(self, *, has_time: bool) -> str:
        """Return the signed text, by default the body, after the timestamp if there is one."""
        signed = self._text("signed") or (f"{TIME}.{BODY}" if has_time else BODY)
        signed = BODY if signed == "body" else signed
        rest = signed.replace(BODY, "", 1).replace(TIME, "", 1)
        if BODY not in signed or "{" in rest or "}" in rest:
            self._fault(
                "signed", 'Must be "body", or a text with {body} once, such as "{t}.{body}".'
            )
        elif has_time and TIME not in signed:
            self._fault(
                "signed", "Must contain {t}. A timestamp that is not signed proves nothing."
            )
        elif TIME in signed and not has_time:
            self._fault(
                "timestamp", "Must say where {t} is: the name of a header, or a part as t=."
            )
        return signed

    def _secret_env(self) -> str:
        name = self._text("secret_env")
        if name and (refusal := variables.refusal(name)):
            self._fault("secret_env", refusal)
        return name

    def _addresses(self) -> tuple[Network, ...]:
        given = self._given.get("addresses")
        if given is None:
            return ()
        try:
            if not isinstance(given, list) or not 1 <= len(given) <= MAX_ADDRESSES:
                raise TypeError
            networks = tuple(_network(text) for text in given)
        except (TypeError, ValueError):
            example = '["192.0.2.0/24", "2001:db8::1"]'
            self._fault("addresses", f"Must be a list of IP addresses or networks: {example}.")
            return ()
        if any(network.prefixlen == 0 for network in networks):
            self._fault("addresses", "Must not contain a network of all addresses.")
        return networks

    def _tolerance(self) -> float:
        try:
            seconds = durations.parse(self._given.get("tolerance", DEFAULT_TOLERANCE))
        except ValueError as error:
            self._fault("tolerance", str(error))
            return 0.0
        if not 0 < seconds <= MAX_TOLERANCE_SECONDS:
            self._fault("tolerance", "Must be more than 0 and at most 1day.")
        return seconds

    def _header(self, key: str) -> str:
        return self._text(key, HEADER_NAME, 'Must be the name of a header, such as "X-Signature".')

    def _choice(self, key: str, options: tuple[str, ...], default: str = "") -> str:
        pattern = re.compile("|".join(options))
        sentence = f"Must be {', '.join(options[:-1])} or {options[-1]}."
        return self._text(key, pattern, sentence) or default

    def _text(
        self,
        key: str,
        pattern: re.Pattern[str] = NOT_BLANK,
        sentence: str = "Must be a text that is not empty.",
    ) -> str:
        """Return the text; '' if the key is not given or has a fault."""
        text = self._given.get(key)
        if isinstance(text, str) and pattern.fullmatch(text):
            return text
        if key in self._given:
            self._fault(key, sentence)
        return ""

    def _flag(self, key: str) -> bool:
        flag = self._given.get(key, False)
        if not isinstance(flag, bool):
            self._fault(key, "Must be true or false.")
        return flag is True

    def _fault(self, key: str, sentence: str) -> None:
        self.faults.setdefault(f"callback.{key}" if key else "callback", sentence)


def _network(text: object) -> Network:
    if not isinstance(text, str):
        raise TypeError
    return ip_network(text)
