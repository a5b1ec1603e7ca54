"""The OpenAPI schema is valid and matches the API."""

import json
import re
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
import yaml
from django.conf import settings
from django.core.management import call_command

from harness.clients import bearer, make_key
from jobs import lifecycle
from jobs.api.batches.views import BatchViewSet
from jobs.api.openapi import details, problem_types
from jobs.api.openapi.batch_operations import OF_ITEMS
from jobs.api.openapi.operations import PROBLEMS
from jobs.api.vendors import VendorViewSet
from jobs.api.views import JobViewSet

pytestmark = pytest.mark.sqlite  # about the document, whatever the store


@pytest.fixture(scope="module")
def schema() -> dict:
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return yaml.safe_load(output.getvalue())


ALWAYS = {"400", "401", "403", "405", "429", "500", "503"}
CALLBACKS = (
    ("/vendor-webhook/{vendor}", "post"),
    ("/vendor-webhook/{vendor}/{request_id}", "post"),
)
OPERATIONS = {
    ("/jobs", "post"): {"200", "202", "413", "415", "422", *ALWAYS},
    ("/jobs", "get"): {"200", *ALWAYS},
    ("/jobs/{request_id}", "get"): {"200", "404", *ALWAYS},
    ("/jobs/{request_id}/cancel", "post"): {"200", "404", "409", *ALWAYS},
    ("/jobs/{request_id}/retry", "post"): {"200", "404", "409", *ALWAYS},
    ("/batches", "get"): {"200", *ALWAYS},
    ("/batches", "post"): {"202", "408", "413", "415", "422", *ALWAYS},
    ("/batches/{batch_id}", "get"): {"200", "404", *ALWAYS},
    ("/batches/{batch_id}/results", "get"): {"200", "404", "409", *ALWAYS},
    ("/batches/{batch_id}/cancel", "post"): {"200", "404", "409", *ALWAYS},
    ("/batches/{batch_id}/retry", "post"): {"200", "404", "409", *ALWAYS},
    ("/vendors", "get"): {"200", *ALWAYS},
} | dict.fromkeys(
    CALLBACKS,
    {*("200", "202", "400", "401", "404", "405", "408"), *("413", "415", "429", "500", "503")},
)
RESULTS = ("/batches/{batch_id}/results", "get")
OPERATION_IDS = {
    *("post_job", "list_jobs", "show_job", "cancel_job", "retry_job", "list_vendors"),
    *("post_batch", "list_batches", "show_batch", "read_results", "cancel_batch", "retry_batch"),
    *("receive_callback", "receive_account_callback"),
}


def operations(schema) -> dict:
    return {
        (path, method): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_the_schema_lists_every_operation_with_every_status(schema):
    found = operations(schema)
    assert {key: set(each["responses"]) for key, each in found.items()} == OPERATIONS
    assert {each["operationId"] for each in found.values()} == OPERATION_IDS


def test_every_operation_but_callbacks_needs_a_key(schema):
    for key, operation in operations(schema).items():
        assert operation["security"] == ([] if key in CALLBACKS else [{"ApiKey": []}]), key
    scheme = schema["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_the_scopes_in_the_descriptions_are_those_of_the_views(schema):
    found = {each["operationId"]: each["description"] for each in operations(schema).values()}
    asked = {
        "post_job": JobViewSet.scopes["create"],
        "show_job": JobViewSet.scopes["retrieve"],
        "list_jobs": JobViewSet.scopes["list"],
        "cancel_job": JobViewSet.scopes["cancel"],
        "retry_job": JobViewSet.scopes["retry"],
        "post_batch": BatchViewSet.scopes["create"],
        "list_batches": BatchViewSet.scopes["list"],
        "show_batch": BatchViewSet.scopes["retrieve"],
        "read_results": BatchViewSet.scopes["results"],
        "cancel_batch": BatchViewSet.scopes["cancel"],
        "retry_batch": BatchViewSet.scopes["retry"],
        "list_vendors": VendorViewSet.scopes["list"],
    }
    assert {*asked, "receive_callback", "receive_account_callback"} == OPERATION_IDS
    for name, scopes in asked.items():
        assert re.findall(r"`(\w+:\w+)`", found[name].rpartition("Scope: ")[2]) == list(scopes)


def test_errors_are_problems_and_answers_are_json(schema):
    for path, method in OPERATIONS:
        for status, answer in schema["paths"][path][method]["responses"].items():
            expected = ["application/json" if status < "300" else "application/problem+json"]
            if (path, method, status) == (*RESULTS, "200"):
                expected = ["application/x-ndjson", "text/csv"]
            assert list(answer["content"]) == expected, (path, method, status)


def test_each_answer_lists_its_headers(schema):
    limits = {"RateLimit", "RateLimit-Policy"}
    common = {"Cache-Control", "Vary", *limits}
    answers = schema["paths"]["/jobs"]["post"]["responses"]
    assert {status: set(each["headers"]) for status, each in answers.items()} == {
        "200": {"Location", "Preference-Applied", "Idempotency-Replayed", *common},
        "202": {"Location", "Retry-After", "Idempotency-Replayed", *common},
        "400": set(),
        "401": {"WWW-Authenticate", "Cache-Control", "Vary"},
        "403": common,
        "405": {"Allow"},
        "413": common,
        "415": common,
        "422": common,
        "429": {"Retry-After", *common},
        "500": set(),
        "503": {"Retry-After"},
    }
    shown = schema["paths"]["/jobs/{request_id}"]["get"]["responses"]
    assert set(shown["200"]["headers"]) == {"Retry-After", "Preference-Applied", *common}
    assert set(shown["404"]["headers"]) == common


def test_every_code_is_in_the_docs_and_in_the_schema(schema):
    table = Path(settings.BASE_DIR, "docs/api.md").read_text()
    assert problem_types.table() in table, problem_types.table()
    documented = set(problem_types.BY_CODE)
    assert len(documented) == sum(len(each.codes) for each in problem_types.PROBLEM_TYPES)
    used = {code for codes in PROBLEMS.values() for code in codes}
    outside = {*details.OUTSIDE, "permission_denied"} - used  # some end an upload as well
    assert documented - used == outside | (set(OF_ITEMS) - used)


def test_the_codes_of_failed_jobs_are_in_the_docs_and_in_the_schema(schema):
    described = schema["components"]["schemas"]["JobError"]["properties"]["code"]["description"]
    rows = Path(settings.BASE_DIR, "docs/api.md").read_text().splitlines()
    [row] = [row for row in rows if row.startswith("| `error` |")]
    for code in (lifecycle.EXPIRED, lifecycle.QUOTA_SPENT, *lifecycle.OVERDUE_CODES):
        assert f"`{code}`" in described
        assert f"`{code}`" in row


def test_a_posted_job_may_have_additional_fields(schema):
    posted = schema["components"]["schemas"]["JobInput"]
    assert posted["additionalProperties"] is True
    assert posted["required"] == ["vendor"]


@pytest.mark.django_db
def test_a_job_has_exactly_the_fields_of_the_schema(
    client, make_job, make_vendor, redis_client, schema
):
    make_vendor("acme")
    described = schema["components"]["schemas"]["JobShown"]
    complete = client.get(f"/jobs/{make_job(status='complete', result={}).pk}").json()
    failed = client.get(f"/jobs/{make_job(status='failed').pk}").json()
    queued = client.get(f"/jobs/{make_job().pk}").json()
    shown = complete.keys() | failed.keys() | queued.keys()
    assert shown == described["properties"].keys()
    held_by = schema["components"]["schemas"]["HeldBy"]["properties"]
    assert queued["held_by"].keys() == held_by.keys()
    assert complete.keys() & failed.keys() == set(described["required"])
    assert schema["info"]["title"] == settings.SPECTACULAR_SETTINGS["TITLE"]


@pytest.mark.parametrize(
    "text",
    [
        "Ü",
        " a ",
        "\u200b",
        " \n",
        "a\0b",
        "a\u202eb",
        "\u3164",
        "李",
        "e\u0301",
        "\U0001f600",
        "a\nb",
        "\x1f",
    ],
)
@pytest.mark.django_db
def test_the_name_pattern_matches_exactly_the_accepted_names(client, make_vendor, schema, text):
    make_vendor("acme", required_input="")
    pattern = schema["components"]["schemas"]["JobInput"]["properties"]["name"]["pattern"]
    answer = client.post(
        "/jobs", json.dumps({"vendor": "acme", "name": text}), content_type="application/json"
    )
    assert (answer.status_code == 202) == bool(re.search(pattern, text)), answer.content


@pytest.mark.django_db
def test_a_cursor_matches_its_pattern(client, make_job, schema):
    make_job(), make_job()
    [cursor] = [
        each for each in schema["paths"]["/jobs"]["get"]["parameters"] if each["name"] == "cursor"
    ]
    following = (
        client.get("/jobs?limit=1").json()["next"].partition("cursor=")[2].replace("%3A", ":")
    )
    assert re.search(cursor["schema"]["pattern"], following)


OPTION_CASES = [
    {},
    {"reference": "order 17"},
    {"reference": ""},
    {"reference": "a\0b"},
    {"reference": "x" * 256},
    {"metadata": {"k" * 64: "v" * 512, "empty": ""}},
    {"metadata": {"k" * 65: "v"}},
    {"metadata": {"": "v"}},
    {"metadata": {"k": "v" * 513}},
    {"metadata": {"k": 1}},
    {"metadata": {"k": "\0"}},
    {"metadata": {str(n): "v" for n in range(16)}},
    {"metadata": {str(n): "v" for n in range(17)}},
    {"metadata": None},
    {"expires_in": 1},
    {"expires_in": 0},
    {"expires_in": 2_592_000},
    {"expires_in": 2_592_001},
    {"expires_in": "60"},
    {"expires_in": 60.0},
    {"expires_in": 60.5},
    {"expires_in": True},
    {"expires_in": 1e300},
    {"not_before": "2026-01-31T12:00:00Z"},
    {"not_before": 5},
    {"priority": 1},
]


@pytest.mark.parametrize("options", OPTION_CASES, ids=lambda options: json.dumps(options)[:40])
@pytest.mark.django_db
def test_the_schema_of_the_options_matches_what_is_accepted(client, make_vendor, schema, options):
    make_vendor("acme")
    described = schema["components"]["schemas"]["JobOptions"]
    body = json.dumps({"vendor": "acme", "name": "x", "options": options})
    answer = client.post("/jobs", body, content_type="application/json")
    is_valid = not list(jsonschema.Draft202012Validator(described).iter_errors(options))
    assert (answer.status_code == 202) == is_valid, answer.content


@pytest.mark.parametrize(
    "key",
    [
        *(
            '"a"',
            "a",
            "a b",
            '"a b"',
            r'"a\"b\\c"',
            "x" * 255,
            f'"{"x" * 255}"',
            "a,b",
            'a"b',
            "a\\b",
        ),
        *(
            '""',
            '"',
            '"a',
            'x"' + "y" * 254,
            "x" * 256,
            f'"{"x" * 256}"',
            r'"\a"',
            '"a"b',
            "\x7f",
            "ä",
        ),
    ],
)
@pytest.mark.django_db
def test_the_pattern_of_idempotency_keys_matches_what_is_accepted(client, make_vendor, schema, key):
    make_vendor("acme")
    header = schema["paths"]["/jobs"]["post"]["parameters"][0]
    assert header["name"] == "Idempotency-Key"
    answer = client.post(
        "/jobs",
        '{"vendor": "acme", "name": "x"}',
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )
    assert (answer.status_code == 202) == bool(re.search(header["schema"]["pattern"], key))


def examples(client, **headers):
    described = client.get("/schema?format=json", headers=headers).json()
    return described["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ]


@pytest.mark.parametrize(
    ("vendors", "shown"),
    [
        (
            {
                "acme": "https://a.example/",
                "async": "/mock-vendors/async",
                "sync": "/mock-vendors/sync",
            },
            ["sync", "async"],
        ),
        ({"acme": "https://a.example/", "beta": "https://b.example/"}, ["acme"]),
    ],
)
@pytest.mark.django_db
def test_the_examples_are_accepted(client, make_vendor, vendors, shown):
    for slug, url in vendors.items():
        make_vendor(slug, url=f"http://127.0.0.1:9{url}" if url.startswith("/") else url)
    make_vendor("aaa", enabled=False)
    found = examples(client)
    assert list(found) == shown
    for example in found.values():
        answer = client.post("/jobs", json.dumps(example["value"]), content_type="application/json")
        assert answer.status_code == 202, answer.content


@pytest.mark.django_db
def test_the_examples_follow_the_vendors(client, make_vendor):
    assert examples(client)["vendor"]["summary"] == "Use one of GET /vendors"
    make_vendor("acme", required_input="name, email")
    assert examples(client)["acme"]["value"] == {
        "vendor": "acme",
        "name": "John Doe",
        "email": "...",
    }


@pytest.mark.django_db
def test_without_a_key_no_real_vendor_is_named(client, make_vendor):
    make_vendor("alpha"), make_vendor("beta")
    key = make_key("team", vendors="beta")
    assert list(examples(client)) == ["vendor"]
    assert list(examples(client, Authorization="Bearer wrong")) == ["vendor"]
    assert list(examples(client, **bearer(key))) == ["beta"]


@pytest.mark.django_db
def test_the_schema_is_yaml_or_json(client):
    plain = client.get("/schema")
    assert plain["Content-Type"].startswith("application/vnd.oai.openapi")
    json_answer = client.get("/schema", headers={"Accept": "application/json,*/*"})
    assert (
        yaml.safe_load(plain.content)
        == json_answer.json()
        == client.get("/schema?format=json").json()
    )
    assert client.get("/schema?version=%0a&format=x").content == plain.content
    assert client.get("/schema", headers={"Accept": "image/png"}).status_code == 200
    assert client.head("/schema").status_code == 200
    refused = client.post("/schema")
    assert (refused.status_code, refused.json()["code"], refused["Allow"]) == (
        405,
        "method_not_allowed",
        "GET, HEAD",
    )
