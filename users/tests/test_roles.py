"""Three roles are made with the tables, and are the operator's afterwards."""

import pytest
from django.contrib.auth.models import Group

from users import roles

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def granted(name):
    found = Group.objects.get(name=name).permissions.all()
    return {f"{each.content_type.app_label}.{each.codename}" for each in found}


def test_each_role_has_permissions_that_exist():
    Group.objects.all().delete()
    roles.create_missing()
    assert {name: granted(name) for name in roles.ROLES} == {
        name: set(permissions) for name, permissions in roles.ROLES.items()
    }


def test_a_changed_role_stays_as_it_is():
    roles.create_missing()
    Group.objects.get(name="viewer").permissions.clear()
    Group.objects.filter(name="operator").delete()
    roles.create_missing()
    assert granted("viewer") == set()
    assert "jobs.retry_job" in granted("operator")


def test_a_viewer_sees_no_personal_data_and_does_nothing():
    acts = [name for name in roles.VIEWER if not name.partition(".")[2].startswith("view_")]
    assert not acts
    assert "jobs.view_personal_data" not in roles.VIEWER
    assert roles.roles_with("jobs.retry_job") == ["operator", "administrator"]
    assert roles.roles_with("auth.change_user") == []
