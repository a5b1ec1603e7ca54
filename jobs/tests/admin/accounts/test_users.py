"""Changes of users and groups are in the audit trail, without passwords and personal data."""

import pytest
from django.contrib.auth.models import Group, Permission, User

from audit.models import Entry
from jobs.tests.console import sign_in_as_superuser

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
PASSWORD = "correct horse battery"


@pytest.fixture
def browser():
    return sign_in_as_superuser()


def acts():
    found = Entry.objects.exclude(target="user:operator").order_by("id")
    return list(found.values_list("action", "target", "changes"))


def test_the_life_of_a_user_is_recorded(browser):
    twice = {"password1": PASSWORD, "password2": PASSWORD}
    browser.post("/admin/auth/user/add/", {"username": "bob", "usable_password": "true", **twice})
    bob, group = User.objects.get(username="bob"), Group.objects.create(name="night shift")
    page = f"/admin/auth/user/{bob.pk}"
    fields = {"username": "bob", "email": "bob@example.com", "is_staff": "on", "groups": group.pk}
    times = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    browser.post(f"{page}/change/", {**fields, **times, "is_active": "on"})
    browser.post(f"{page}/password/", {"usable_password": "true", **twice})
    browser.post(f"{page}/delete/", {"post": "yes"})
    found = acts()
    assert [(action, target) for action, target, _ in found] == [
        (f"user.{done}", "user:bob")
        for done in ("created", "changed", "password_changed", "deleted")
    ]
    assert found[0][2] == {"username": [None, "bob"]}
    assert found[1][2]["groups"] == [[], ["night shift"]]
    assert bob.is_staff, "who may log in"
    assert found[1][2]["email"] == ["", "…"]
    assert "example.com" not in str(found)
    assert "horse" not in str(found)


def test_the_permissions_of_a_group_are_recorded(browser):
    retry = Permission.objects.get(codename="retry_job")
    browser.post("/admin/auth/group/add/", {"name": "night shift", "permissions": retry.pk})
    group = Group.objects.get(name="night shift")
    browser.post(f"/admin/auth/group/{group.pk}/change/", {"name": "day shift"})
    browser.post(f"/admin/auth/group/{group.pk}/change/", {"name": "day shift"})
    act = {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
    browser.post("/admin/auth/group/", act)
    assert acts() == [
        (
            "group.created",
            "group:night shift",
            {"name": [None, "night shift"], "permissions": [None, ["retry_job"]]},
        ),
        (
            "group.changed",
            "group:day shift",
            {"name": ["night shift", "day shift"], "permissions": [["retry_job"], []]},
        ),
        ("group.deleted", "group:day shift", {}),
    ]
