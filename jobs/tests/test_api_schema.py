"""The OpenAPI schema is valid, and says what the API does."""

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
    ("/jobs", "post"): {"202", "400", "413", "415", "429", "500", "503"},
    ("/jobs", "get"): {"200", "400", "500", "503"},
    ("/jobs/{request_id}", "get"): {"200", "404", "500", "503"},
    ("/jobs/{request_id}/cancel", "post"): {"200", "404", "409", "500", "503"},
    ("/jobs/{request_id}/retry", "post"): {"200", "404", "409", "500", "503"},
}


def test_the_schema_has_every_operation_with_every_answer(schema):
    found = {
        (path, method): set(operation["responses"])
        for path, methods in schema["paths"].items()
        if path.startswith("/jobs")
        for method, operation in methods.items()
    }
    assert found == OPERATIONS


def test_errors_are_problems_and_answers_are_json(schema):
    for path, method in OPERATIONS:
        for status, answer in schema["paths"][path][method]["responses"].items():
            expected = "application/json" if status < "300" else "application/problem+json"
            assert list(answer["content"]) == [expected], (path, method, status)


def test_headers_that_say_where_and_when_to_ask_are_described(schema):
    answers = schema["paths"]["/jobs"]["post"]["responses"]
    assert set(answers["202"]["headers"]) == {"Location", "Retry-After"}
    assert set(answers["429"]["headers"]) == set(answers["503"]["headers"]) == {"Retry-After"}
    assert set(schema["paths"]["/jobs/{request_id}"]["get"]["responses"]["200"]["headers"]) == {"Retry-After"}


def test_a_posted_job_may_have_further_fields(schema):
    posted = schema["components"]["schemas"]["JobInput"]
    assert posted["additionalProperties"] is True
    assert set(posted["required"]) == {"vendor", "name"}


@pytest.mark.django_db
def test_a_job_shows_just_the_fields_that_the_schema_has(client, make_job, schema):
    described = schema["components"]["schemas"]["JobShown"]
    complete = client.get(f"/jobs/{make_job(status='complete', result={}).pk}").json()
    failed = client.get(f"/jobs/{make_job(status='failed').pk}").json()
    assert complete.keys() | failed.keys() == described["properties"].keys()
    assert complete.keys() & failed.keys() == set(described["required"])
    assert schema["info"]["title"] == settings.SPECTACULAR_SETTINGS["TITLE"]
