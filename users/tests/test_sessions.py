"""A session ends with its row: at logout, after 12 hours, and with the user's password."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import Entry
from users.models import Session
from users.tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "another horse battery"


def copy_of(browser):
    copy = Client()
    copy.cookies["sessionid"] = browser.cookies["sessionid"].value
    return copy


def is_signed_in(browser):
    return browser.get("/admin/password_change/").status_code == 200


@pytest.fixture
def browser(ann, log_in):
    return log_in().client


def test_logout_ends_every_copy_of_the_cookie_but_no_other_session(browser, log_in):
    copy, other = copy_of(browser), log_in(address="198.51.100.1").client
    assert is_signed_in(copy)
    browser.post("/admin/logout/")
    assert not is_signed_in(copy)
    assert is_signed_in(other)
    assert [row.address for row in Session.objects.all()] == ["198.51.100.1"]
    acts = Entry.objects.order_by("id").values_list("actor", "action", "target", "address")
    assert list(acts)[1:] == [
        ("ann", "user.logged_in", "user:ann", "198.51.100.1"),
        ("ann", "user.logged_out", "user:ann", "192.0.2.7"),
    ]


def test_a_session_ends_12_hours_after_the_login_however_often_it_is_used(browser, log_in):
    [row] = Session.objects.all()
    assert row.ends_at - row.started_at == timedelta(hours=12)
    copy = copy_of(browser)
    Session.objects.update(ends_at=timezone.now())
    assert not is_signed_in(copy)
    log_in()
    assert Session.objects.count() == 1, "ended sessions are deleted"


def test_a_new_password_ends_the_other_sessions(browser, log_in):
    other, copy = log_in().client, copy_of(browser)
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert browser.post("/admin/password_change/", fields).status_code == 302
    assert [is_signed_in(each) for each in (browser, other, copy)] == [True, False, False]
    assert Entry.objects.filter(action="user.password_changed", target="user:ann").exists()


def test_a_session_belongs_to_one_user_and_to_an_active_one(browser, ann):
    copy = copy_of(browser)
    Session.objects.update(user="another")
    assert not is_signed_in(copy)
    Session.objects.update(user=str(ann.pk))
    assert is_signed_in(copy_of(browser))
    ann.is_active = False
    ann.save()
    assert not is_signed_in(copy_of(browser))


@pytest.mark.sqlite  # the tests' MongoDB can't show the form of a user
def test_a_superuser_ends_the_sessions_of_others(browser, ann, log_in):
    other = log_in().client
    page = browser.get(f"/admin/auth/user/{ann.pk}/change/").content.decode()
    assert page.count("from 192.0.2.7, until") == 2
    assert "salt" not in page, "nothing of the password's hash"
    act = {"action": "end_sessions", "_selected_action": ann.pk}
    browser.post("/admin/auth/user/", act)
    assert not is_signed_in(other)
    assert not Session.objects.exists()
    assert Entry.objects.filter(action="user.sessions_ended", target="user:ann").exists()
