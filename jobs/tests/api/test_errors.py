"""Invalid input: a clear sentence, a stable code, and no change."""

import json

import pytest

from jobs.models import Job

# About what is refused and why, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

GOOD = {"vendor": "acme", "name": "John Doe"}


@pytest.fixture(autouse=True)
def _vendors(make_vendor):
    make_vendor("acme")
    make_vendor("beta")
    make_vendor("old", enabled=False)


def post(client, body, content_type="application/json"):
    return client.post("/jobs", body, content_type=content_type)


def check(answer, status: int, code: str) -> dict:
    """Check that the answer is a complete problem and no job was stored; return the problem."""
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["type"] == f"urn:enrichlabs:problem:{code}"
    assert problem["status"] == status
    assert problem["title"] == code.replace("_", " ").capitalize()
    assert problem["detail"].endswith(".")
    assert not Job.objects.exists()
    return problem


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "line 1"),
        (b"{'vendor': 1}", "double quotes"),
        (b'{"vendor": "acme", "name": "J"} {}', "Extra data"),
        (b'{"n": NaN}', "NaN"),
        (b'{"n": -Infinity}', "Infinity"),
        (b'{"n": 1e999}', "too large"),
        (b'{"n": -1e999}', "too large"),
        (b'{"n": %s}' % (b"9" * 1001), "more than 1000 digits"),
        (b'{"n": %s}' % (b"9" * 5000), "more than 1000 digits"),
        (b'{"n": "\\ud800"}', "surrogate"),
        (b'{"a": [{"\\udfff": 1}]}', "surrogate"),
        (b'{"n": "\xff"}', "UTF-8"),
        (b'{"n": "\xed\xa0\x80"}', "UTF-8"),
        (b'\xef\xbb\xbf{"n": 1}', "BOM"),
        (b'{"n": ' + b"[" * 32 + b"]" * 32 + b"}", "32 levels"),
        (b'{"vendor": "acme", "name": "J", "name": "K"}', "two fields of the same name"),
        (b'{"n": [{"a": 1, "b": 2, "a": 1}]}', "two fields of the same name"),
        (b"[" * 60_000, "32 levels"),
        (b'{"n":' * 10_000, "32 levels"),
    ],
)
def test_invalid_json_is_refused(client, body, says):
    problem = check(post(client, body), 400, "invalid_json")
    assert says in problem["detail"]


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [("application/json", 400, "invalid_json"), ("text/plain", 415, "unsupported_media_type")],
)
def test_an_empty_body_is_refused(client, content_type, status, code):
    answer = client.generic("POST", "/jobs", b"", CONTENT_TYPE=content_type)
    check(answer, status, code)


def test_json_nested_32_levels_deep_is_accepted(client):
    body = json.dumps({**GOOD, "n": 0}).replace("0}", "[" * 31 + "]" * 31 + "}")
    assert post(client, body).status_code == 202


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "1", "true"])
def test_json_other_than_an_object_is_refused(client, body):
    check(post(client, body), 400, "not_an_object")


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"vendor": ...}, "/vendor", "required"),
        ({"vendor": None}, "/vendor", "null"),
        ({"vendor": 5}, "/vendor", "invalid"),
        ({"vendor": ["acme"]}, "/vendor", "invalid"),
        ({"vendor": ""}, "/vendor", "blank"),
        ({"vendor": "ACME"}, "/vendor", "unknown_vendor"),
        ({"vendor": " acme"}, "/vendor", "unknown_vendor"),
        ({"vendor": "old"}, "/vendor", "vendor_disabled"),
        ({"name": ...}, "/name", "required"),
        ({"name": None}, "/name", "null"),
        ({"name": 5}, "/name", "invalid"),
        ({"name": True}, "/name", "invalid"),
        ({"name": {}}, "/name", "invalid"),
        ({"name": ""}, "/name", "blank"),
        ({"name": " \t\n\u2003"}, "/name", "blank"),
        ({"name": "\u200b\u2060"}, "/name", "blank"),
        ({"name": "\u3164 \u2800\ufeff"}, "/name", "blank"),
        ({"name": "\x01\x7f"}, "/name", "blank"),
        ({"name": "\U000e0041\U000e0042"}, "/name", "blank"),
        ({"name": "abc\u202ednu"}, "/name", "direction_control"),
        ({"name": "\u2066abc\u2069"}, "/name", "direction_control"),
        ({"name": "x" * 201}, "/name", "max_length"),
        ({"name": "a\0b"}, "/name", "null_characters_not_allowed"),
        ({"options": None}, "/options", "null"),
        ({"options": []}, "/options", "not_a_dict"),
        ({"options": "fast"}, "/options", "not_a_dict"),
        ({"options": {"priority": 1}}, "/options/priority", "unknown_option"),
    ],
)
def test_an_invalid_field_is_named_by_its_pointer(client, changes, pointer, code):
    body = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    problem = check(post(client, json.dumps(body)), 400, code)
    assert problem["errors"] == [{"pointer": pointer, "code": code, "detail": problem["detail"]}]


def test_all_invalid_fields_are_named_at_once(client):
    problem = check(post(client, '{"vendor": 1, "name": "", "options": 2}'), 400, "not_valid")
    assert {error["pointer"]: error["code"] for error in problem["errors"]} == {
        "/vendor": "invalid",
        "/name": "blank",
        "/options": "not_a_dict",
    }


@pytest.mark.parametrize(
    "name", ["李小龙", "محمد", "‏דוד‎", "é", "e\u0301", "👨\u200d👩\u200d👧", "0", "∀", "क्\u200dष"]
)
def test_a_name_in_any_script_is_accepted(client, name):
    assert post(client, json.dumps({**GOOD, "name": name})).status_code == 202
    assert Job.objects.get().name == name


def test_an_unknown_vendor_error_lists_at_most_twenty_vendors(client, make_vendor):
    for number in range(30):
        make_vendor(f"many-{number:02}")
    problem = check(post(client, json.dumps({**GOOD, "vendor": "unknown"})), 400, "unknown_vendor")
    assert problem["detail"].endswith(", many-16, many-17 and 12 more.")
    assert problem["detail"].count(",") == 19


@pytest.mark.parametrize("vendor", ["unknown", "old"])
def test_vendor_errors_list_the_enabled_vendors(client, vendor):
    problem = post(client, json.dumps({**GOOD, "vendor": vendor})).json()
    assert problem["detail"].endswith("Use one of: acme, beta.")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=latin-1",
        "a;b;c/",
    ],
)
def test_other_content_types_are_refused(client, content_type):
    answer = client.generic("POST", "/jobs", json.dumps(GOOD), content_type=content_type)
    assert "application/json" in check(answer, 415, "unsupported_media_type")["detail"]


def test_a_body_over_the_limit_is_refused(client, settings):
    problem = check(post(client, b"x" * (settings.JOB_MAX_BYTES + 1)), 413, "too_large")
    assert "65536 bytes" in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/jobs", "GET, POST, HEAD"),
        ("DELETE", "/jobs/0", "GET, HEAD"),
        ("POST", "/jobs/0", "GET, HEAD"),
        ("GET", "/jobs/0/cancel", "POST"),
        ("HEAD", "/jobs/0/retry", "POST"),
        ("BREW", "/jobs", "GET, POST, HEAD"),
        ("OPTIONS", "/jobs", "GET, POST, HEAD"),
        ("OPTIONS", "/jobs/0/cancel", "POST"),
    ],
)
def test_other_methods_are_refused_with_an_allow_header(client, method, path, allow):
    answer = client.generic(method, path, json.dumps(GOOD), content_type="application/json")
    assert answer.status_code == 405
    assert set(answer["Allow"].split(", ")) == set(allow.split(", "))
    if method != "HEAD":
        check(answer, 405, "method_not_allowed")


def test_the_answer_is_json_whatever_the_client_accepts(client):
    answer = client.get("/jobs", headers={"Accept": "application/xml"})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
