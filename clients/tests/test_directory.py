"""Who sent a request, found by API key and address."""

import logging
import time
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from clients import issuing
from clients.directory import MAX_AGE_SECONDS, MAX_KEYS, Directory
from clients.keys import new_key
from clients.models import ApiKey, Client
from clients.scopes import Scope
from clients.tests.actors import OPERATOR
from harness.waiting import wait_for
from vendors.limits import Window

pytestmark = pytest.mark.django_db
ADDRESS = "192.0.2.7"


def found(key, address=ADDRESS, *, now=None):
    """Ask a process that has not asked before."""
    return Directory().find(key, address, now or timezone.now())


def test_a_key_names_its_client_and_what_it_may(make_client, make_key):
    client = make_client(request_limits="1000/min, 50/s")
    issued = make_key(client, scopes="jobs:read, jobs:submit")
    caller = found(issued.text)
    assert (caller.client, caller.key) == ("billing", issued.key)
    assert caller.scopes == {Scope.READ, Scope.SUBMIT}
    assert caller.vendors is None
    assert caller.windows == (Window(50, 1), Window(1000, 60))
    assert caller.is_authenticated


def test_only_the_very_key_authenticates(make_key):
    key = make_key().text
    other = new_key()
    public_of_key = key[:12] + other[12:]
    for wrong in (other, public_of_key, key[:-1], key.swapcase(), ""):
        assert found(wrong) is None
    assert found(key)


def test_another_secret_with_a_right_checksum_is_refused(make_key):
    from clients.keys import _checksum

    key = make_key().text
    forged = key[:12] + "0" * 32
    assert found(forged + _checksum(forged)) is None


def test_a_key_ends_when_it_expires(make_key):
    expires_at = timezone.now() + timedelta(hours=1)
    key = make_key(expires_at=expires_at).text
    stored = ApiKey.objects.get().expires_at  # to the millisecond, on MongoDB
    assert found(key, now=stored - timedelta(milliseconds=1))
    assert found(key, now=stored) is None
    assert found(key, now=stored + timedelta(days=1)) is None


def test_the_log_says_why_a_key_was_refused(make_client, make_key, caplog):
    caplog.set_level(logging.INFO)
    client = make_client()
    revoked, bound = make_key(client), make_key(client, addresses="192.0.2.8")
    expired = make_key(client, expires_at=timezone.now() + timedelta(hours=1))
    issuing.revoke(revoked.key, OPERATOR)
    found(revoked.text)
    found(bound.text)
    found(expired.text, now=timezone.now() + timedelta(days=1))
    found(new_key())  # nobody's
    assert caplog.messages == [
        f"Refused API key {revoked.key}: it is revoked",
        f"Refused API key {bound.key}: it may not be used from 192.0.2.7",
        f"Refused API key {expired.key}: it has expired",
    ]
    Client.objects.update(enabled=False)
    found(bound.text)
    assert caplog.messages[-1] == f"Refused API key {bound.key}: its client is disabled"
    assert bound.text not in caplog.text


def test_a_revoked_key_and_a_disabled_client_are_refused(make_client, make_key):
    client = make_client()
    one, two = make_key(client), make_key(client)
    issuing.revoke(one.key, OPERATOR)
    assert found(one.text) is None
    assert found(two.text)
    Client.objects.update(enabled=False)
    assert found(two.text) is None


@pytest.mark.parametrize(
    ("allowed", "address", "is_let_in"),
    [
        ("", "192.0.2.7", True),
        ("", "", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("192.0.2.7", "::ffff:c000:207", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::192.0.2.7", False),
        ("192.0.2.7", "", False),
        ("192.0.2.7", "unknown", False),
        ("10.0.0.0/8, 2001:db8::/32", "10.255.0.1", True),
        ("10.0.0.0/8, 2001:db8::/32", "2001:db8::1", True),
        ("10.0.0.0/8, 2001:db8::/32", "11.0.0.1", False),
        ("10.0.0.0/8, 2001:db8::/32", "2001:db9::1", False),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "192.0.2.7", False),
    ],
)
def test_a_key_may_be_bound_to_addresses(make_key, allowed, address, is_let_in):
    assert bool(found(make_key(addresses=allowed).text, address)) is is_let_in


@pytest.mark.parametrize(
    ("allowed", "common"),
    [
        (("", ""), None),
        (("acme, globex", ""), {"acme", "globex"}),
        (("", "acme"), {"acme"}),
        (("acme, globex", "acme"), {"acme"}),
    ],
)
def test_a_key_may_use_the_vendors_that_it_and_its_client_allow(
    make_vendor, make_client, make_key, allowed, common
):
    make_vendor(), make_vendor("globex")
    of_client, of_key = allowed
    caller = found(make_key(make_client(vendors=of_client), vendors=of_key).text)
    assert caller.vendors == common
    assert caller.may_use("acme")
    assert caller.may_use("globex") is (common is None or "globex" in common)


def test_a_key_without_common_vendors_may_use_none(make_vendor, make_client, make_key):
    make_vendor(), make_vendor("globex")
    issued = make_key(make_client(vendors="acme"), vendors="acme")
    Client.objects.update(vendors="globex")
    caller = found(issued.text)
    assert caller.vendors == frozenset()
    assert not caller.may_use("acme")
    assert not caller.may_use("globex")


def test_a_change_by_another_process_is_in_force_within_half_a_second(make_key):
    issued, directory = make_key(), Directory()
    assert directory.find(issued.text, ADDRESS, timezone.now())
    ApiKey.objects.update(revoked_at=timezone.now())
    changed_at = time.monotonic()
    wait_for(
        lambda: directory.find(issued.text, ADDRESS, timezone.now()) is None, "the key to end", 5
    )
    assert time.monotonic() - changed_at < 1
    assert MAX_AGE_SECONDS <= 0.5


def test_a_key_is_read_once_in_half_a_second(make_key, django_assert_num_queries):
    issued, directory = make_key(), Directory()
    with django_assert_num_queries(2):
        for _ in range(100):
            assert directory.find(issued.text, ADDRESS, timezone.now())


def test_text_that_is_no_key_does_not_ask_the_store(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert found("elk_" + "a" * 46) is None


def test_the_store_does_not_answer(make_key, monkeypatch):
    issued, directory = make_key(), Directory()

    def fail(*args, **kwargs):
        raise OperationalError("the store is away")

    monkeypatch.setattr(ApiKey.objects, "filter", fail)
    with pytest.raises(OperationalError):
        directory.find(issued.text, ADDRESS, timezone.now())
    monkeypatch.undo()
    assert directory.find(issued.text, ADDRESS, timezone.now())


def test_a_flood_of_wrong_keys_takes_bounded_memory(monkeypatch):
    monkeypatch.setattr("clients.directory._read", lambda public: None)
    directory = Directory()
    for _ in range(MAX_KEYS + 100):
        directory.find(new_key(), ADDRESS, timezone.now())
    assert len(directory._keys._values) == MAX_KEYS


@pytest.mark.parametrize(
    "fault", [{"request_limits": "often"}, {"addresses": "somewhere"}], ids=str
)
def test_a_faulty_row_refuses_and_is_logged(make_key, caplog, fault):
    issued = make_key()
    for model in (Client, ApiKey):
        model.objects.update(
            **{name: value for name, value in fault.items() if hasattr(model, name)}
        )
    with caplog.at_level(logging.ERROR):
        assert found(issued.text) is None
    assert f"API key {issued.key.public} of client billing can't be used" in caplog.text


def test_without_any_key_requests_belong_to_the_client_default(db):
    caller = Directory().anonymous()
    assert (caller.client, caller.key, caller.vendors) == ("default", None, None)
    assert caller.scopes == set(Scope.values)


def test_anonymous_requests_have_the_limits_of_the_client_default(make_vendor, make_client):
    make_vendor()
    make_client("default", vendors="acme", request_limits="5/s")
    caller = Directory().anonymous()
    assert caller.vendors == {"acme"}
    assert caller.windows == (Window(5, 1),)
    Client.objects.update(enabled=False)
    assert Directory().anonymous() is None


def test_the_first_key_ends_anonymous_requests(make_key):
    directory = Directory()
    assert directory.anonymous()
    issued = make_key()
    wait_for(lambda: directory.anonymous() is None, "anonymous requests to end", 1)
    issuing.revoke(issued.key, OPERATOR)  # a revoked key is a key
    assert Directory().anonymous() is None


def test_faulty_limits_of_the_default_client_refuse_anonymous_requests(caplog, make_client):
    make_client("default")
    Client.objects.update(request_limits="nonsense")
    assert Directory().anonymous() is None
    assert "Requests without a key are refused: client default" in caplog.text
