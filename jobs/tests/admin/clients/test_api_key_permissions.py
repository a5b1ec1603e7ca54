"""Users see and do with API keys what their permissions allow, and nobody sees a key again."""

import pytest

from clients import issuing
from clients.models import ApiKey
from clients.tests.actors import OPERATOR
from jobs.tests.admin.clients.pages import KEYS, fields_for, is_valid, key_in
from jobs.tests.console import sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]  # as jobs.tests.console says
PAGES = [
    "",
    "add/",
    "?_popup=1",
    "add/?_popup=1&_to_field=digest",
    "{pk}/change/",
    "{pk}/change/?_popup=1",
    "{pk}/change/?_to_field=digest",
    "{pk}/history/",
    "{pk}/delete/",
    "{pk}/rotate/",
    "{pk}/revoke/",
    "?q={start}",
    "?digest__startswith={start}",
    "?public={public}",
    "?client__slug=billing",
    "?o=1",
]
OTHERS = [
    "/admin/",
    "/admin/clients/",
    "/admin/clients/client/",
    "/admin/clients/client/?api_keys__digest__startswith={start}",
    "/admin/clients/client/{client}/change/",
    "/admin/clients/client/{client}/history/",
    "/admin/clients/client/{client}/delete/",
    "/admin/autocomplete/?app_label=clients&model_name=apikey&field_name=client&term=",
    "/admin/autocomplete/?app_label=clients&model_name=client&field_name=api_keys&term=",
    "/admin/jsi18n/",
]
USERS = {
    "view keys": ["view_apikey"],
    "view clients": ["view_client"],
    "change clients": ["view_client", "change_client", "delete_client"],
    "manage keys": ["manage_apikey"],
    "no permission": [],
}


@pytest.mark.parametrize("permissions", USERS.values(), ids=USERS)
def test_no_page_shows_a_key_or_its_digest(make_key, permissions):
    browser, issued = sign_in(*permissions), make_key()
    new = issuing.rotate(issued.key, OPERATOR)
    values = {
        "pk": issued.key.pk,
        "start": issued.key.digest[:8],
        "public": issued.key.public,
        "client": issued.key.client_id,
    }
    may_view = {"view_apikey", "manage_apikey"} & set(permissions)
    for page in [*(f"{KEYS}{page}" for page in PAGES), *OTHERS]:
        response = browser.get(page.format(**values), follow=True)
        assert response.status_code in (200, 400, 403, 404), page
        body = response.content.decode()
        for each in (issued, new):
            assert each.text[12:] not in body, page
            assert each.key.digest not in body, page
        if page.startswith(KEYS) and not may_view:
            assert response.status_code in (400, 403), page
            assert issued.key.public not in body


@pytest.mark.parametrize(
    "permissions", [USERS["view keys"], USERS["change clients"], USERS["no permission"]]
)
def test_keys_are_created_and_ended_with_the_permission_only(make_key, permissions):
    browser, issued = sign_in(*permissions), make_key()
    assert browser.post(f"{KEYS}add/", fields_for(issued.key.client)).status_code == 403
    for act in ("rotate", "revoke"):
        for send in (browser.get, browser.post):
            response = send(f"{KEYS}{issued.key.pk}/{act}/", {"overlap": "0", "reason": "x"})
            assert response.status_code == 403
    assert ApiKey.objects.count() == 1
    assert is_valid(issued.text)


def test_the_permission_to_manage_keys_suffices(make_key):
    browser, issued = sign_in("manage_apikey"), make_key()
    assert is_valid(key_in(browser.post(f"{KEYS}add/", fields_for(issued.key.client))))
    new = key_in(browser.post(f"{KEYS}{issued.key.pk}/rotate/", {"overlap": "24"}))
    browser.post(f"{KEYS}{issued.key.pk}/revoke/", {"reason": ""})
    assert [is_valid(issued.text), is_valid(new)] == [False, True]
