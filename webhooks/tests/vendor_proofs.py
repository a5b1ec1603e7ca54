"""Callbacks as vendors prove them: for each proof, its definition and what makes the headers."""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any

from webhooks.tests import signing

VARIABLE = "VENDOR_ACME_PROOF"


@dataclass(frozen=True)
class Proof:
    definition: dict[str, Any]
    headers: Any  # of a body, a secret and how old it is in seconds
    has_time: bool = False
    signs_body: bool = True


def digest(algorithm, secret, message, encoding="hex"):
    value = hmac.digest(secret.encode(), message, algorithm)
    return value.hex() if encoding == "hex" else base64.b64encode(value).decode()


def fullenrich(body, secret, age):
    return {"X-Signature-SHA1": digest("sha1", secret, body)}


def rocketreach(body, secret, age):
    return {"X-RocketReach-Signature": digest("sha256", secret, body, "base64")}


def lusha(body, secret, age):
    t = str(int(time.time() - age) * 1000)
    signature = digest("sha512", secret, t.encode() + b"." + body)
    return {"X-Lusha-Signature": f"sha512={signature}", "X-Lusha-Time": t}


def persona(body, secret, age):
    """Two groups, as during a rotation of the vendor's secret."""
    t = int(time.time() - age)
    right = digest("sha256", secret, f"{t}.".encode() + body)
    other = digest("sha256", "another secret", f"{t}.".encode() + body)
    return {"Persona-Signature": f"t={t},v1={other} t={t},v1={right}"}


def stripe(body, secret, age):
    t = int(time.time() - age)
    right = digest("sha256", secret, f"{t}.".encode() + body)
    return {"Stripe-Signature": f"t={t},v1={hashlib.sha256(b'').hexdigest()},v1={right},v0=x"}


def header(body, secret, age):
    return {"X-Token": f"Bearer {secret}"}


def basic(body, secret, age):
    return {"Authorization": "Basic " + base64.b64encode(f"acme:{secret}".encode()).decode()}


def standard(body, secret, age):
    return signing.signed(body, secret=base64.b64encode(secret.encode()).decode(), age_seconds=age)


def hmac_and_basic(body, secret, age):
    return {**fullenrich(body, f"acme:{secret}", age), **basic(body, secret, age)}


HMAC = {"hmac": "sha256", "timestamp": "t="}
PROOFS = {
    "hmac sha1": Proof({"hmac": "sha1", "header": "X-Signature-SHA1"}, fullenrich),
    "hmac base64": Proof(
        {"hmac": "sha256", "header": "X-RocketReach-Signature", "encoding": "base64"}, rocketreach
    ),
    "hmac, time in a header": Proof(
        {
            "hmac": "sha512",
            "header": "X-Lusha-Signature",
            "prefix": "sha512=",
            "timestamp": "X-Lusha-Time",
            "signed": "{t}.{body}",
        },
        lusha,
        has_time=True,
    ),
    "hmac, two groups": Proof({**HMAC, "header": "Persona-Signature"}, persona, has_time=True),
    "hmac, several v1": Proof({**HMAC, "header": "Stripe-Signature"}, stripe, has_time=True),
    "header": Proof({"header": "X-Token", "prefix": "Bearer "}, header, signs_body=False),
    "basic": Proof({"basic": True}, basic, signs_body=False),
    "standard webhooks": Proof({"standard_webhooks": True}, standard, has_time=True),
    "hmac and basic": Proof(
        {"hmac": "sha1", "header": "X-Signature-SHA1", "basic": True}, hmac_and_basic
    ),
}


def variable_of(proof, *secrets):
    """Return what the variable holds for these secrets."""
    if proof.headers is standard:
        return ", ".join(base64.b64encode(secret.encode()).decode() for secret in secrets)
    has_user = proof.definition.get("basic")
    return ",".join(f"acme:{secret}" if has_user else secret for secret in secrets)
