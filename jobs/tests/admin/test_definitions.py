"""Definitions and credentials are edited as TOML: who may, what is checked, what history says."""

import pytest

from jobs.tests.admin.test_vendors import VENDORS, change, form_of
from jobs.tests.console import grant, sign_in, sign_in_as_superuser, text, trail
from vendors.catalogue import catalogue
from vendors.loading.toml import parse_definition
from vendors.models import Credential, Vendor

pytestmark = pytest.mark.django_db
CREDENTIALS = "/admin/vendors/credential/"
DEFINITION = {"query": {"id": "{input.id}"}, "credential": "pdl", "cost": "body.cost"}


@pytest.fixture
def pdl(db):
    definition = {"header": "X-Api-Key", "keys_env": ["VENDOR_PDL_KEY"]}
    return Credential.objects.create(slug="pdl", definition=definition)


@pytest.fixture
def vendor(make_vendor, pdl):
    url = "GET https://api.pdl.test/v5/{input.id}"
    return make_vendor("pdl", adapter="http", url=url, required_input="", definition=DEFINITION)


def edit(browser, credential, **fields):
    path = f"{CREDENTIALS}{credential.pk}/change/"
    return browser.post(path, {**form_of(browser, path), **fields}, follow=True)


def test_a_definition_is_edited_as_toml(vendor):
    browser = sign_in_as_superuser()
    shown = form_of(browser, f"{VENDORS}{vendor.pk}/change/")["definition"]
    assert shown == 'query = { id = "{input.id}" }\ncredential = "pdl"\ncost = "body.cost"\n'
    # As a browser posts it, and saved unchanged: nothing changes.
    change(browser, vendor, definition=shown.replace("\n", "\r\n"))
    assert trail() == []
    posted = shown.replace("body.cost", "body.price") + '[input]\r\nid = "required"\r\n'
    assert "was changed successfully" in text(change(browser, vendor, definition=posted))
    expected = {**DEFINITION, "cost": "body.price", "input": {"id": "required"}}
    assert catalogue.get("pdl").definition == expected
    assert catalogue.get("pdl").required_fields == ("id",)
    changes = {
        "definition.cost": ["body.cost", "body.price"],
        "definition.input": [None, {"id": "required"}],
    }
    assert trail() == [("vendor.changed", changes)]
    page = text(browser.get(f"{VENDORS}{vendor.pk}/history/"))
    assert "body.price" in page, page


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("cost = ", "Not valid TOML: Invalid value (at end of document)."),
        ("cost = 2026-01-01", 'cost: Must be text: put quotes around it, as in "2026-01-01".'),
        ('cost = "body["', "cost: "),
        ('colour = "red"', "colour: Unknown key."),
        ('rate_limits = "5/s"', "rate_limits: This is a field of this page."),
        ('[vendors.acme]\nurl = "GET https://a.test"', "vendors: Paste only what stands in"),
        ("[credentials.acme]\nbasic = true", "credentials: A credential has a page of its own."),
        ('credential = "<b>"', "credential: There is no credential '<b>'."),
        ('[poll]\nevery = "soon"', "poll.every: Must be a duration"),
    ],
)
def test_a_fault_is_shown_with_its_key_and_what_was_typed(vendor, typed, fault):
    response = change(sign_in_as_superuser(), vendor, definition=typed, variables_again="")
    assert any(fault in it for it in response.context["adminform"].form.errors["definition"])
    assert fault in text(response)
    assert response.context["adminform"].form["definition"].value() == typed
    assert Vendor.objects.get().definition == DEFINITION


@pytest.mark.sqlite
def test_a_vendor_is_added_with_its_definition(pdl):
    browser = sign_in_as_superuser()
    posted = {
        **form_of(browser, f"{VENDORS}add/"),
        "slug": "acme",
        "adapter": "http",
        "url": "GET https://acme.test/{input.id}",
        "definition": 'credential = "pdl"',
    }
    assert "was added successfully" in text(browser.post(f"{VENDORS}add/", posted, follow=True))
    acme = catalogue.get("acme")
    assert (acme.credential, acme.required_fields, acme.required_input) == (pdl, (), "")


def test_the_page_has_only_the_fields_that_the_adapter_reads(vendor):
    vendor.definition |= {"input": {"id": "required", "country": "optional"}}
    vendor.save()
    browser, path = sign_in_as_superuser(), f"{VENDORS}{vendor.pk}/change/"
    assert "Required input: id" in text(browser.get(path))
    unread = {"required_input", "api_key_env", "webhook_secret_env"}
    assert not unread & form_of(browser, path).keys()
    # Another adapter reads them; the page has them once it is saved.
    assert "Remove the method" in text(change(browser, vendor, adapter="sync"))


@pytest.mark.sqlite
def test_the_page_of_a_credential_shows_everything_but_the_key(vendor, pdl, monkeypatch):
    browser, path = sign_in_as_superuser(), f"{CREDENTIALS}{pdl.pk}/change/"
    assert "The variable VENDOR_PDL_KEY is not set." in text(browser.get(path))
    monkeypatch.setenv("VENDOR_PDL_KEY", "k3y-s3cret")
    page = browser.get(path)
    assert "VENDOR_PDL_KEY calls and polls Set here. running" in text(page)
    assert f'href="{VENDORS}{vendor.pk}/change/">pdl</a>' in page.content.decode()
    assert 'keys_env = ["VENDOR_PDL_KEY"]' in text(page)
    for shown in (page, browser.get(CREDENTIALS), browser.get(f"{CREDENTIALS}{pdl.pk}/history/")):
        assert "k3y-s3cret" not in shown.content.decode()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("typed", "variable"),
    [
        ('query = "key"\nkeys_env = ["VENDOR_PDL_KEY"]', "VENDOR_PDL_KEY"),
        ('header = "X-Api-Key"\nkeys_env = ["VENDOR_OTHER_KEY"]', "VENDOR_OTHER_KEY"),
        (
            'header = "X-Api-Key"\nkeys_env = ["VENDOR_PDL_KEY"]\nhosts = ["b.test"]',
            "VENDOR_PDL_KEY",
        ),
    ],
)
def test_another_place_or_variable_must_be_confirmed(vendor, pdl, typed, variable):
    browser, before = sign_in_as_superuser(), pdl.definition
    for again in ("", "VENDOR_X", f"{variable} VENDOR_X"):
        page_text = text(edit(browser, pdl, definition=typed, variables_again=again))
        assert f"type {variable} here." in page_text
        assert Credential.objects.get().definition == before
    assert "was changed" in text(edit(browser, pdl, definition=typed, variables_again=variable))
    assert catalogue.get("pdl").credential.definition["keys_env"] == [variable]
    [(action, changes)] = trail(f"credential:{pdl}")
    assert action == "credential.changed"
    assert "k3y" not in str(changes)


@pytest.mark.sqlite
def test_a_faulty_credential_is_not_saved(vendor, pdl):
    browser, before = sign_in_as_superuser(), pdl.definition
    for typed, fault in {
        'header = "X"\nkeys_env = ["SECRET_KEY"]': "keys_env: SECRET_KEY is a setting",
        "": "Name exactly one place for the key",
        'body = "key"\nkeys_env = ["VENDOR_X"]': "Vendor pdl could not use it. json: ",
    }.items():
        page_text = text(edit(browser, pdl, definition=typed, variables_again="VENDOR_X"))
        assert fault in page_text
    assert Credential.objects.get().definition == before


def test_a_credential_is_added_and_its_slug_stays(pdl):
    browser = sign_in_as_superuser()
    posted = {"slug": "hunter", "definition": 'bearer_env = "VENDOR_HUNTER_KEY"'}
    assert "was added" in text(browser.post(f"{CREDENTIALS}add/", posted, follow=True))
    hunter = Credential.objects.get(slug="hunter")
    edit(browser, hunter, slug="other", definition='bearer_env = "VENDOR_HUNTER_2"')
    hunter.refresh_from_db()
    assert (hunter.slug, hunter.definition) == ("hunter", {"bearer_env": "VENDOR_HUNTER_2"})


@pytest.mark.sqlite
def test_a_credential_in_use_cannot_be_deleted(vendor, pdl):
    browser, path = sign_in_as_superuser(), f"{CREDENTIALS}{pdl.pk}/delete/"
    page_text = text(browser.post(path, {"post": "yes"}, follow=True))
    assert "Vendor pdl uses it. Name another credential there first." in page_text
    assert Credential.objects.exists()
    Vendor.objects.all().delete()
    assert "was deleted successfully" in text(browser.post(path, {"post": "yes"}, follow=True))
    assert not Credential.objects.exists()


@pytest.mark.sqlite  # permissions, see jobs/tests/console.py
@pytest.mark.parametrize(
    "permissions",
    [
        ("view_credential",),
        ("view_credential", "change_credential", "delete_credential", "add_credential"),
        ("view_credential", "change_credential_target"),
    ],
)
def test_a_credential_needs_the_target_permission(vendor, pdl, permissions):
    browser, path = sign_in(*permissions), f"{CREDENTIALS}{pdl.pk}/change/"
    page = browser.get(path)
    assert 'header = "X-Api-Key"' in text(page)
    assert 'name="definition"' not in page.content.decode()
    assert browser.post(path, {"definition": 'bearer_env = "VENDOR_X"'}).status_code == 403
    assert browser.post(f"{CREDENTIALS}{pdl.pk}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get(f"{CREDENTIALS}add/").status_code == 403
    assert Credential.objects.get().definition == pdl.definition


@pytest.mark.sqlite
def test_where_a_credential_is_sent_needs_a_permission_of_its_own(vendor, pdl):
    Credential.objects.create(slug="hunter", definition={"bearer_env": "VENDOR_HUNTER_KEY"})
    permissions = ("view_credential", "change_credential", "delete_credential", "add_credential")
    browser = sign_in(*permissions, "change_vendor_target")
    place, again = 'header = "X-Api-Key"\nkeys_env = ["VENDOR_PDL_KEY"', "VENDOR_PDL_KEY"
    for typed, variables in {
        'query = "key"\nkeys_env = ["VENDOR_PDL_KEY"]': again,
        f'{place}]\nhosts = ["b.test"]': again,
        f'{place}, "VENDOR_HUNTER_KEY"]': f"{again} VENDOR_HUNTER_KEY",
    }.items():
        page_text = text(edit(browser, pdl, definition=typed, variables_again=variables))
        assert "This would change where a credential is sent" in page_text
        assert Credential.objects.get(slug="pdl").definition == pdl.definition
    assert browser.get(f"{CREDENTIALS}add/").status_code == 403
    assert browser.get(f"{CREDENTIALS}{pdl.pk}/delete/").status_code == 403
    pool = f'{place}]\nretired_env = ["VENDOR_PDL_KEY_0"]'
    edit(browser, pdl, definition=pool, variables_again=f"{again} VENDOR_PDL_KEY_0")
    assert Credential.objects.get(slug="pdl").definition["retired_env"] == ["VENDOR_PDL_KEY_0"]
    grant("change_credential_target")
    typed = f'{place}]\nhosts = ["b.test"]'
    assert "was changed" in text(edit(browser, pdl, definition=typed, variables_again=again))
    assert browser.get(f"{CREDENTIALS}add/").status_code == 200


SIGNED = 'header = "X-Key"\nkeys_env = ["{0}"]\n[sign]\nhmac = "sha256"\nheader = "X-Sig"\n'
OAUTH2 = '[oauth2]\ntoken_url = "https://a.test/t"\nid_env = "{0}"\nsecret_env = "{1}"'
LOGIN = (
    '[login]\nurl = "POST https://a.test/t"\ntoken = "body.t"\n'
    'json_env = {{ user = "{0}", password = "{1}" }}'
)


@pytest.mark.sqlite
@pytest.mark.parametrize("typed", [SIGNED + 'secret_env = "{1}"', OAUTH2, LOGIN])
def test_to_use_a_variable_for_something_else_needs_the_permission_too(pdl, typed):
    """The secret would be sent where the vendor may log it."""
    names = ["VENDOR_A", "VENDOR_B"]
    Credential.objects.update(definition=parse_definition(typed.format(*names)))
    browser = sign_in("view_credential", "change_credential", "change_vendor_target")
    for used, is_refused in ([*reversed(names)], True), (["VENDOR_A", "VENDOR_C"], False):
        posted = {"definition": typed.format(*used), "variables_again": " ".join(sorted(used))}
        page = text(edit(browser, pdl, **posted))
        assert ("This would change where a credential is sent" in page) == is_refused
        assert ("was changed" in page) != is_refused
