"""The OpenAPI schema is valid and matches the API."""

import json
import re
from io import StringIO

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command


@pytest.fixture(scope="module")
def schema() -> dict:
    output = StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=output)
    return yaml.safe_load(output.getvalue())


OPERATIONS = {
    ("/jobs", "post"): {"202", "400", "405", "413", "415", "429", "500", "503"},
    ("/jobs", "get"): {"200", "400", "405", "500", "503"},
    ("/jobs/{request_id}", "get"): {"200", "400", "404", "405", "500", "503"},
    ("/jobs/{request_id}/cancel", "post"): {"200", "400", "404", "405", "409", "500", "503"},
    ("/jobs/{request_id}/retry", "post"): {"200", "400", "404", "405", "409", "500", "503"},
    ("/vendor-webhook/{vendor}/{request_id}", "post"): {
        *("200", "202", "400", "401", "404", "405", "408"),
        *("413", "415", "429", "500", "503"),
    },
}


def test_the_schema_lists_every_operation_with_every_status(schema):
    found = {
        (path, method): set(operation["responses"])
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    assert found == OPERATIONS


def test_errors_are_problems_and_answers_are_json(schema):
    for path, method in OPERATIONS:
        for status, answer in schema["paths"][path][method]["responses"].items():
            expected = "application/json" if status < "300" else "application/problem+json"
            assert list(answer["content"]) == [expected], (path, method, status)


def test_location_and_retry_after_headers_are_described(schema):
    answers = schema["paths"]["/jobs"]["post"]["responses"]
    assert set(answers["202"]["headers"]) == {"Location", "Retry-After", "Cache-Control"}
    assert set(answers["429"]["headers"]) == {"Retry-After", "Cache-Control"}
    assert set(answers["503"]["headers"]) == {"Retry-After"}
    assert set(answers["405"]["headers"]) == {"Allow"}
    shown = schema["paths"]["/jobs/{request_id}"]["get"]["responses"]
    assert set(shown["200"]["headers"]) == {"Retry-After", "Cache-Control"}
    assert set(shown["404"]["headers"]) == {"Cache-Control"}


def test_a_posted_job_may_have_additional_fields(schema):
    posted = schema["components"]["schemas"]["JobInput"]
    assert posted["additionalProperties"] is True
    assert set(posted["required"]) == {"vendor", "name"}


@pytest.mark.django_db
def test_a_job_has_exactly_the_fields_of_the_schema(client, make_job, schema):
    described = schema["components"]["schemas"]["JobShown"]
    complete = client.get(f"/jobs/{make_job(status='complete', result={}).pk}").json()
    failed = client.get(f"/jobs/{make_job(status='failed').pk}").json()
    assert complete.keys() | failed.keys() == described["properties"].keys()
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
    make_vendor()
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


def test_options_allow_no_properties(schema):
    assert (
        schema["components"]["schemas"]["JobInput"]["properties"]["options"]["maxProperties"] == 0
    )


def examples(client):
    described = client.get("/schema?format=json").json()
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
    assert examples(client)["vendor"]["summary"] == "Configure a vendor first"
    make_vendor("acme")
    assert list(examples(client)) == ["acme"]


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
