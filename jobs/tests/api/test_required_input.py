"""A vendor says which input its jobs need; jobs without it are refused."""

import json

import pytest

from jobs.models import Job

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def post(client, **body):
    return client.post(
        "/jobs", json.dumps({"vendor": "acme", **body}), content_type="application/json"
    )


def faults(answer) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    assert not Job.objects.exists()
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "required"),
        ({"email": None}, "required"),
        ({"email": ""}, "blank"),
        ({"email": " \n\u200b"}, "blank"),
    ],
)
def test_a_job_without_the_required_input_is_refused(client, make_vendor, given, code):
    make_vendor("acme", required_input="email")
    assert faults(post(client, name="John Doe", **given)) == {"/email": code}


@pytest.mark.parametrize("email", [0, False, "x", [], {}])
def test_any_other_value_will_do(client, make_vendor, email):
    make_vendor("acme", required_input="email")
    answer = post(client, email=email)
    assert answer.status_code == 202, answer.content
    job = Job.objects.get()
    assert (job.name, job.input) == ("", {"email": email})
    assert client.get(f"/jobs/{job.pk}").json()["name"] == ""


def test_all_missing_fields_are_named_with_the_other_faults(client, make_vendor):
    make_vendor("acme", required_input="name, a/b~c, email")
    assert faults(post(client, email="e", options=3)) == {
        "/name": "required",
        "/a~1b~0c": "required",
        "/options": "not_a_dict",
    }


def test_a_name_is_required_only_where_the_vendor_says_so(client, make_vendor):
    make_vendor("acme", required_input="")
    assert post(client, city="Ulm").status_code == 202
    assert Job.objects.get().input == {"city": "Ulm"}


@pytest.mark.parametrize(
    ("name", "code"),
    [(None, "null"), ("", "blank"), ("\u200b", "blank"), (5, "invalid"), ("x" * 201, "max_length")],
)
@pytest.mark.parametrize("required", ["", "name"])
def test_a_name_that_is_given_is_checked(client, make_vendor, required, name, code):
    make_vendor("acme", required_input=required)
    assert faults(post(client, name=name)) == {"/name": code}


def test_a_change_of_the_required_input_applies_at_once(client, make_vendor):
    vendor = make_vendor("acme", required_input="email")
    faults(post(client, name="John Doe"))
    vendor.delete()
    make_vendor("acme", required_input="name")
    assert post(client, name="John Doe").status_code == 202
