"""Guessing passwords is slow: failed logins are counted by account and address."""

import getpass
import logging
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from users import browsers, hashing, site, throttle
from users.models import FailedLogin
from users.tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ann")]


def fail(log_in, times, **login):
    for _ in range(times):
        assert log_in(**{"password": "wrong", **login}).status_code == 200


def test_after_5_failures_even_the_right_password_is_refused(log_in, caplog):
    fail(log_in, 5)
    response = log_in()
    assert response.status_code == 429
    assert 800 < int(response["Retry-After"]) <= 900
    assert "Too many wrong passwords. Retry in 15 min." in response.content.decode()
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
@pytest.mark.parametrize(
    "where", [{"address": "172.18.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"}, {"address": ""}]
)
def test_where_addresses_are_not_known_strangers_cannot_keep_all_out(log_in, where, caplog):
    now = timezone.now()
    fail(log_in, 6, **where)
    assert ("172.18.0.1, a proxy that TRUSTED_PROXIES" in caplog.text) == bool(where["address"])
    for number in range(100):
        FailedLogin.objects.create(account=str(number), address="", at=now)
    assert log_in(**where).status_code == 302
    for _ in range(100):
        FailedLogin.objects.create(account=throttle.account_of("ann"), address="", at=now)
    response = log_in(**where)
    assert response.status_code == 429
    assert "TRUSTED_PROXIES does not name the proxy" in response.content.decode()


def test_strangers_cannot_keep_out_a_browser_that_was_let_in_before(log_in):
    browser = log_in().client
    cookie = browser.cookies[browsers.COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    fail(log_in, 5)
    assert log_in().status_code == 429
    assert log_in(browser=browser).status_code == 302
    assert log_in().status_code == 429, "its logins forgive no stranger"
    fail(log_in, 5, browser=browser)
    assert log_in(browser=browser).status_code == 429, "it can't guess faster either"
    fail(log_in, 5, name="bob", browser=browser)
    assert log_in(name="bob", browser=browser).status_code == 429, "another account"


@pytest.mark.sqlite
def test_a_cookie_that_was_made_up_is_worth_nothing(log_in):
    stranger = Client(REMOTE_ADDR="192.0.2.7")
    stranger.cookies[browsers.COOKIE] = f"made-up.{throttle.account_of('ann')}:signature"
    fail(log_in, 5, browser=stranger)
    assert {row.address for row in FailedLogin.objects.all()} == {"192.0.2.7"}


def test_a_session_cannot_guess_the_old_password(log_in, caplog):
    browser, new = log_in().client, "another horse battery"
    fields = {"old_password": "wrong", "new_password1": new, "new_password2": new}

    def change(**changed):
        return browser.post("/admin/password_change/", {**fields, **changed}).status_code

    assert [change() for _ in range(5)] == [200] * 5
    assert change(old_password=PASSWORD) == 429
    assert caplog.text.count("An old password was wrong, from 192.0.2.7") == 5
    FailedLogin.objects.all().delete()
    assert change(old_password=PASSWORD, new_password1="x") == 200
    assert not FailedLogin.objects.exists(), "the old password was right"
    assert change(old_password=PASSWORD) == 302
    assert not FailedLogin.objects.exists()


@pytest.mark.sqlite
def test_a_wrong_password_on_top_of_a_session_is_no_login(log_in):
    browser = log_in().client
    fail(log_in, 1, browser=browser)
    assert Entry.objects.filter(action="user.logged_in").count() == 1


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


@pytest.mark.parametrize(
    ("arguments", "target"),
    [(["ann"], "user:ann"), (["--address", "192.0.2.7"], "address:192.0.2.7")],
)
def test_an_operator_allows_logins_again(log_in, arguments, target):
    fail(log_in, 5)
    out = StringIO()
    call_command("allow_login", *arguments, stdout=out)
    assert "5 failed logins" in out.getvalue()
    assert log_in().status_code == 302
    assert Entry.objects.filter(action="user.logins_allowed", target=target).exists()


@pytest.mark.parametrize("arguments", [[], ["--address", "proxy"]])
def test_allow_login_needs_to_know_whom_to_allow(arguments):
    with pytest.raises(CommandError, match="--address"):
        call_command("allow_login", *arguments)


def test_commands_that_make_users_and_passwords_leave_entries(log_in, monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda prompt="": "yet another battery")
    call_command("changepassword", "ann", stdout=StringIO())
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "yet another battery")
    call_command("createsuperuser", username="bob", email="", interactive=False, verbosity=0)
    assert log_in(password="yet another battery").status_code == 302
    found = Entry.objects.filter(actor__startswith="command line").order_by("id")
    assert list(found.values_list("action", "target")) == [
        ("user.password_changed", "user:ann"),
        ("user.created", "user:bob"),
    ]
