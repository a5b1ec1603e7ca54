"""Guessing passwords is slow: failed logins are counted by account and address."""

import logging
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit.models import Entry
from users import hashing, site, throttle
from users.models import FailedLogin

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ann")]


def fail(log_in, times, **login):
    for _ in range(times):
        assert log_in(**{"password": "wrong", **login}).status_code == 200


def test_after_5_failures_even_the_right_password_is_refused(log_in, caplog):
    fail(log_in, 5)
    response = log_in()
    assert response.status_code == 429
    assert 800 < int(response["Retry-After"]) <= 900
    assert "Too many logins have failed. Retry in 15 min." in response.content.decode()
    assert FailedLogin.objects.count() == 5, "what is refused does not count"
    assert log_in(address="192.0.2.8").status_code == 302, "from elsewhere"
    FailedLogin.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert log_in().status_code == 302
    lines = [each for each in caplog.records if each.name == "users.backends"]
    assert [each.levelno for each in lines] == [logging.WARNING] * 5
    assert "from 192.0.2.7" in lines[0].getMessage()


def test_a_name_is_neither_stored_nor_logged(log_in, caplog):
    fail(log_in, 5, name="Secret-typed-here")
    assert log_in(name="secret-typed-here").status_code == 429, "whatever its case"
    assert "ecret-typed" not in f"{caplog.text} {list(FailedLogin.objects.values())}"
    assert log_in().status_code == 302, "another name"


def test_a_login_forgives_the_failures_before_it(log_in):
    for _ in range(3):
        fail(log_in, 4)
        assert log_in().status_code == 302
    assert not FailedLogin.objects.exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("same", ["account", "address"])
def test_many_failures_of_one_account_or_one_address_are_refused(log_in, same):
    account, now = throttle.account_of("ann"), timezone.now()
    for number in range(100):
        row = {"account": str(number), "address": str(number), "at": now}
        mine = {"account": account, "address": "192.0.2.7"}
        FailedLogin.objects.create(**{**row, same: mine[same]})
    assert log_in().status_code == 429
    other = {"name": "bob"} if same == "account" else {"address": "192.0.2.8"}
    assert log_in(**other).status_code == (200 if same == "account" else 302)


@pytest.mark.sqlite
def test_old_failures_are_deleted(log_in):
    FailedLogin.objects.create(account="x", address="y", at=timezone.now() - throttle.MAX_AGE)
    fail(log_in, 1)
    assert FailedLogin.objects.count() == 1


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("proxy", ""),
    ],
)
def test_ipv6_addresses_count_by_network(address, network):
    assert throttle.network_of(address) == network


@pytest.mark.sqlite
def test_few_logins_are_checked_at_a_time(log_in, monkeypatch):
    for _ in range(site.MAX_UNDER_WAY):
        assert site._under_way.acquire(blocking=False)
    try:
        response = log_in()
    finally:
        site._under_way.release(site.MAX_UNDER_WAY)
    assert (response.status_code, response["Retry-After"]) == (429, "2")
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert log_in().status_code == 302
    assert hashing._slots._initial_value == 2


def test_an_operator_allows_logins_again(log_in):
    fail(log_in, 5)
    out = StringIO()
    call_command("allow_login", "ann", stdout=out)
    assert "5 failed logins" in out.getvalue()
    assert log_in().status_code == 302
    assert Entry.objects.filter(action="user.logins_allowed", target="user:ann").exists()
