import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from webhooks import signatures
from webhooks.signatures import RefusedError

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes...!").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two ...").decode()
NOW = datetime.now(UTC)
BODY = b'{"name": "John Doe"}'
keys = st.binary(min_size=1, max_size=64)
ids = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def signed(secret=SECRET, body=BODY, at=NOW, **headers):
    seconds = int(at.timestamp())
    signature = signatures.sign(secret, "msg_1", seconds, body)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature,
        **headers,
    }


def reason(secrets, headers, body=BODY, now=NOW):
    with pytest.raises(RefusedError) as refused:
        signatures.verify(secrets, headers, body, now)
    return refused.value.code


def test_a_valid_signature_returns_the_webhook_id():
    assert signatures.verify([SECRET], signed(), BODY, NOW) == "msg_1"


def test_each_secret_is_accepted_during_a_rotation():
    assert signatures.verify([OTHER, SECRET], signed(), BODY, NOW)
    assert reason([OTHER], signed()) == "signature_wrong"


def test_one_valid_signature_among_several_is_enough():
    two = signed(OTHER)["webhook-signature"] + " " + signed()["webhook-signature"]
    assert signatures.verify([SECRET], signed(**{"webhook-signature": two}), BODY, NOW)


def test_signatures_of_other_versions_are_ignored():
    genuine = signed()["webhook-signature"]
    mixed = signed(**{"webhook-signature": f"v1a,xyz v2 {genuine}"})
    assert signatures.verify([SECRET], mixed, BODY, NOW)
    other = signed(**{"webhook-signature": genuine.replace("v1,", "v2,")})
    assert reason([SECRET], other) == "signature_wrong"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(NOW.timestamp()) - 1)},
        {"webhook-signature": "v1,"},
    ],
)
def test_a_change_of_id_timestamp_signature_or_body_is_refused(change):
    assert reason([SECRET], signed(**change)) == "signature_wrong"
    assert reason([SECRET], signed(), body=BODY + b" ") == "signature_wrong"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_or_empty_header_is_refused(name):
    headers = signed()
    assert reason([SECRET], {**headers, name: ""}) == "signature_missing"
    del headers[name]
    assert reason([SECRET], headers) == "signature_missing"


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_timestamp_may_differ_by_at_most_five_minutes(seconds):
    now = NOW.replace(microsecond=0)
    headers = signed(at=now)
    assert signatures.verify([SECRET], headers, BODY, now + timedelta(seconds=seconds))
    beyond = now + timedelta(seconds=seconds * 1.004)
    assert reason([SECRET], headers, now=beyond) == "timestamp_out_of_range"


@pytest.mark.parametrize("webhook_id", ["msg_ü", "msg_\ud800"])
def test_an_id_that_is_not_ascii_is_refused(webhook_id):
    assert reason([SECRET], signed(**{"webhook-id": webhook_id})) == "signature_malformed"


@pytest.mark.parametrize("timestamp", ["soon", "-1", "1.5", "٣", "9" * 400, " 1", "1\n"])
def test_a_timestamp_that_is_not_a_number_of_seconds_is_refused(timestamp):
    assert reason([SECRET], signed(**{"webhook-timestamp": timestamp})) == "signature_malformed"


@pytest.mark.parametrize("secret", ["", "whsec_", "a", "schlüssel", "\ud800", "💥"])
def test_a_secret_that_is_not_base64_verifies_nothing(secret):
    assert reason([secret], signed()) == "secret_unusable"
    assert signatures.verify([secret, SECRET], signed(), BODY, NOW)


def test_without_a_secret_every_request_is_refused():
    assert reason([], signed()) == "secret_unset"


def test_signing_with_a_secret_that_is_not_base64_raises_an_error():
    with pytest.raises(ValueError, match="base64"):
        signatures.sign("schlüssel", "msg_1", 1, BODY)


@given(st.lists(st.text(), max_size=3), st.text(), st.text(), st.text(), st.binary())
def test_only_refused_error_is_raised_for_any_input(
    secrets, webhook_id, timestamp, signature, body
):
    for version in ("", "v1,", "v1,v1,"):
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": version + signature,
        }
        for seconds in (timestamp, "1"):
            assert reason([*secrets, SECRET], {**headers, "webhook-timestamp": seconds}, body)


@given(keys, ids, st.binary())
def test_our_signatures_equal_those_of_the_reference(key, webhook_id, body):
    secret = base64.b64encode(key).decode()
    text = body.decode("latin-1")  # the reference takes text alone
    theirs = Webhook(secret).sign(webhook_id, NOW.replace(tzinfo=None), text)
    stamp = int(NOW.replace(tzinfo=UTC).timestamp())
    assert signatures.sign(secret, webhook_id, stamp, text.encode()) == theirs
    prefixed = "whsec_" + secret.rstrip("=")
    assert signatures.sign(prefixed, webhook_id, stamp, text.encode()) == theirs
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": theirs,
    }
    assert signatures.verify([secret], headers, text.encode(), NOW) == webhook_id


@pytest.mark.parametrize(("secret", "sent"), [(SECRET, BODY), (OTHER, BODY), (SECRET, BODY + b" ")])
def test_the_reference_accepts_exactly_what_we_accept(secret, sent):
    headers = signed(secret, at=datetime.now(UTC))
    is_genuine = secret == SECRET and sent == BODY
    theirs = is_accepted(lambda: Webhook(SECRET).verify(sent, headers, json_parse=False))
    ours = is_accepted(lambda: signatures.verify([SECRET], headers, sent, NOW))
    assert (theirs, ours) == (is_genuine, is_genuine)


def is_accepted(verify):
    try:
        verify()
    except (RefusedError, WebhookVerificationError):
        return False
    return True


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=40))
def test_secrets_are_decoded_as_by_the_reference(secret):
    try:
        theirs = Webhook(secret).sign("msg_1", datetime.fromtimestamp(1, UTC), "{}")
    except Exception:
        assert reason([secret], signed()) == "secret_unusable"
    else:
        assert signatures.sign(secret, "msg_1", 1, b"{}") == theirs
