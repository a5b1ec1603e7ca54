"""Callbacks that are proven as vendors do it: the token is needed, and the proof too."""

import logging
from collections import defaultdict
from ipaddress import ip_network

import pytest

from jobs.models import Callback, Job, Verdict
from vendors.models import Vendor
from webhooks.tests.vendor_proofs import PROOFS, VARIABLE, fullenrich, variable_of

pytestmark = pytest.mark.sqlite

BODY = b'{"name": "John Doe"}'
SECRET, OLD_SECRET = "s3cret of acme", "the one before"
NO_REASON = {"detail": "The callback's token or signature is missing, wrong or expired."}


@pytest.fixture(params=PROOFS)
def proof(request, make_vendor, monkeypatch):
    proof = PROOFS[request.param]
    monkeypatch.setenv(VARIABLE, variable_of(proof, SECRET, OLD_SECRET))
    definition = {"callback": {**proof.definition, "secret_env": VARIABLE}}
    make_vendor(adapter="async", definition=definition)
    return proof


@pytest.fixture
def waiting(make_job):
    return make_job(status="waiting", attempt=1)


@pytest.fixture
def addresses(make_vendor, settings):
    """A vendor that posts from known addresses, through a proxy."""
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.0/8")]
    make_vendor(adapter="async", definition={"callback": {"addresses": ["192.0.2.0/24"]}})


def reason_of(answer):
    """The reason that is stored for the operator, and not told to the sender."""
    assert (answer.status_code, answer.json() | NO_REASON) == (401, answer.json())
    return Callback.objects.get(verdict=Verdict.REFUSED).reason


def test_only_a_proven_callback_is_applied(proof, waiting, post):
    forged = {name: "forged" for name in proof.headers(BODY, SECRET, 0)}
    reasons = [
        reason_of(post(waiting, **proof.headers(BODY, "another secret", 0))),
        reason_of(post(waiting, **forged)),
        reason_of(post(waiting)),
    ]
    assert reasons[0].endswith("_wrong")
    assert reasons[2].endswith("_missing")
    good = proof.headers(BODY, SECRET, 0)
    assert reason_of(post(waiting, "", **good)) in ("token_wrong", "token_missing")
    if proof.signs_body:
        other = reason_of(post(waiting, body=b'{"name": "Jane Doe"}', **good))
        assert other == "signature_wrong"
    assert Job.objects.get(pk=waiting.pk).status == "waiting"
    answer = post(waiting, **good)
    assert (answer.status_code, answer.json()) == (200, {"status": "applied"})


def test_the_secret_before_is_accepted_too_and_an_old_callback_is_not(proof, waiting, post):
    if proof.has_time:
        for age in (400, -400):
            old = reason_of(post(waiting, **proof.headers(BODY, SECRET, age)))
            assert old == "timestamp_out_of_range"
    assert post(waiting, **proof.headers(BODY, OLD_SECRET, 200)).status_code == 200


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ({"proof": "hmac"}, "proof_unreadable"),
        ({"hmac": "md5", "header": "X-Signature", "secret_env": VARIABLE}, "proof_unreadable"),
        ([], "proof_unreadable"),
        ({"basic": True, "secret_env": VARIABLE}, "secret_unset"),
        ({"standard_webhooks": True, "secret_env": VARIABLE}, "secret_unset"),
        ({"addresses": ["192.0.2.0/24"]}, "address_wrong"),
    ],
)
def test_what_can_not_be_checked_refuses_every_callback(
    make_vendor, waiting, post, callback, reason
):
    make_vendor(adapter="async")
    Vendor.objects.update(definition={"callback": callback})
    assert reason_of(post(waiting)) == reason


def test_a_row_with_a_webhook_secret_and_a_definition_needs_both(
    signing_vendor, waiting, post, monkeypatch
):
    monkeypatch.setenv(VARIABLE, SECRET)
    callback = {"hmac": "sha1", "header": "X-Signature-SHA1", "secret_env": VARIABLE}
    Vendor.objects.update(definition={"callback": callback})
    assert reason_of(post(waiting, **fullenrich(BODY, SECRET, 0))) == "signature_missing"


@pytest.mark.parametrize(
    ("forwarded", "status"), [("192.0.2.7", 200), ("192.0.2.7, 198.51.100.1", 401), ("x", 401)]
)
def test_addresses_are_those_behind_trusted_proxies(waiting, addresses, post, forwarded, status):
    assert post(waiting, **{"X-Forwarded-For": forwarded}).status_code == status


def test_the_log_names_the_fault_and_no_secret(make_vendor, waiting, post, caplog):
    caplog.set_level(logging.DEBUG)
    make_vendor(adapter="async", definition={"callback": {"basic": True, "secret_env": VARIABLE}})
    post(waiting, **PROOFS["basic"].headers(BODY, SECRET, 0))
    assert f"secret_unset (The variable {VARIABLE} is not set.)" in caplog.text
    assert SECRET not in caplog.text


def test_many_timestamps_cost_no_digests(make_vendor, waiting, post, monkeypatch):
    monkeypatch.setenv(VARIABLE, SECRET)
    definition = {"hmac": "sha256", "header": "X-S", "timestamp": "t=", "secret_env": VARIABLE}
    make_vendor(adapter="async", definition={"callback": definition})
    made = defaultdict(int)
    monkeypatch.setattr("webhooks.proofs._digests", lambda *args: made.__setitem__(0, 1) or [])
    header = " ".join(f"t={number},v1=ab" for number in range(100))
    assert reason_of(post(waiting, **{"X-S": header})) == "signature_malformed"
    assert not made
