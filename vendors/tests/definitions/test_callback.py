"""How the `callback` of a definition says what a callback must prove."""

import pytest

from vendors.definitions.callback import CallbackProof, Signature, parse_proof
from vendors.definitions.faults import DefinitionFaults

HMAC = {"hmac": "sha256", "header": "X-Signature", "secret_env": "VENDOR_ACME_SECRET"}
SECRET = {"secret_env": "VENDOR_ACME_SECRET"}


@pytest.mark.parametrize(
    ("callback", "signature"),
    [
        ({}, Signature("sha256", "X-Signature", "hex", "", "{body}")),
        (
            {"hmac": "sha1", "encoding": "base64", "prefix": "sha1=", "signed": "body"},
            Signature("sha1", "X-Signature", "base64", "sha1=", "{body}"),
        ),
        (
            {"timestamp": "t="},
            Signature("sha256", "X-Signature", "hex", "v1=", "{t}.{body}", timestamp_part="t="),
        ),
        (
            {"timestamp": "X-Time", "signed": "{t}{body}"},
            Signature("sha256", "X-Signature", "hex", "", "{t}{body}", timestamp_header="X-Time"),
        ),
    ],
)
def test_signatures(callback, signature):
    assert parse_proof(HMAC | callback).signature == signature


def test_other_proofs():
    assert parse_proof({}) == CallbackProof()
    proof = parse_proof({"header": "X-Token", "prefix": "Bearer ", "basic": True, **SECRET})
    assert (proof.secret_header, proof.secret_prefix, proof.basic) == ("X-Token", "Bearer ", True)
    proof = parse_proof({"standard_webhooks": True, "tolerance": "1min", **SECRET})
    assert (proof.standard_webhooks, proof.tolerance_seconds) == (True, 60)
    proof = parse_proof({"reference": "body.id", "addresses": ["192.0.2.7"], "thin": True})
    assert [str(network) for network in proof.addresses] == ["192.0.2.7/32"]
    assert (proof.is_account_wide, proof.is_thin, proof.has_secret) == (True, True, False)


@pytest.mark.parametrize(
    ("callback", "key", "part"),
    [
        ([], "callback", "table"),
        ({"proof": "hmac"}, "callback.proof", "Unknown key"),
        ({"hmac": "md5"}, "callback.hmac", "sha1, sha256 or sha512"),
        ({"hmac": "sha256x"}, "callback.hmac", "sha1, sha256 or sha512"),
        ({"hmac": ["sha256"]}, "callback.hmac", "sha1, sha256 or sha512"),
        ({"header": "X Signature"}, "callback.header", "name of a header"),
        ({"encoding": "base32"}, "callback.encoding", "hex or base64"),
        ({"prefix": 1}, "callback.prefix", "text"),
        ({"signed": "{t}.{body}"}, "callback.timestamp", "where {t} is"),
        ({"signed": "{id}.{body}"}, "callback.signed", "{body}"),
        ({"signed": "raw"}, "callback.signed", "{body}"),
        ({"timestamp": "t=", "signed": "body"}, "callback.signed", "not signed"),
        ({"timestamp": "t e="}, "callback.timestamp", '"t="'),
        ({"timestamp": "X-Time", "tolerance": "5"}, "callback.tolerance", "duration"),
        ({"timestamp": "X-Time", "tolerance": "2day"}, "callback.tolerance", "1day"),
        ({"tolerance": "5min"}, "callback.tolerance", "no effect"),
        ({"secret_env": "SECRET_KEY"}, "callback.secret_env", "setting of EnrichLabs"),
        ({"secret_env": ""}, "callback.secret_env", "text"),
        ({"addresses": []}, "callback.addresses", "list of IP addresses"),
        ({"addresses": ["example.com"]}, "callback.addresses", "list of IP addresses"),
        ({"addresses": [1]}, "callback.addresses", "list of IP addresses"),
        ({"addresses": ["::/0"]}, "callback.addresses", "all addresses"),
        ({"confirm": "yes"}, "callback.confirm", "true or false"),
        ({"reference": 1}, "callback.reference", "text"),
    ],
)
def test_a_fault_names_its_key(callback, key, part):
    with pytest.raises(DefinitionFaults) as caught:
        parse_proof({**HMAC, **callback} if isinstance(callback, dict) else callback)
    assert set(caught.value.faults) == {key}
    assert part in caught.value.faults[key]


@pytest.mark.parametrize(
    ("callback", "key"),
    [
        ({"hmac": "sha256", **SECRET}, "callback.header"),
        ({"basic": True}, "callback.secret_env"),
        ({"confirm": True, **SECRET}, "callback.secret_env"),
        ({"confirm": True, "prefix": "x"}, "callback.prefix"),
        ({"confirm": True, "encoding": "hex"}, "callback.encoding"),
        ({"reference": "body.id"}, "callback.reference"),
        ({"reference": "body.id", "confirm": False}, "callback.reference"),
    ],
)
def test_what_is_missing_or_has_no_effect_is_a_fault(callback, key):
    with pytest.raises(DefinitionFaults) as caught:
        parse_proof(callback)
    assert set(caught.value.faults) == {key}
