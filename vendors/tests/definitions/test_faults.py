"""Definitions with one mistake each. All are refused, and the fault names the key."""

import re
import time
from datetime import date
from typing import Any

import pytest

from vendors.definitions.compiled import compile_definition
from vendors.definitions.faults import DefinitionFaults
from vendors.tests.definitions.examples import URL, callback, definition, poll

BASE = "GET https://api.vendor.test"
OUTCOMES = "found, no_data, pending, invalid_input, blocked, rate_limited, no_credits, auth"

# The URL, the key of the fault, and words of its sentence.
URLS = [
    ("https://api.vendor.test/", "url", "method"),
    ("FETCH https://api.vendor.test/", "url", "methods are GET, POST"),
    ("get https://api.vendor.test/", "url", "method"),
    ("GET ftp://api.vendor.test/", "url", "URL"),
    ("GET /v1/people", "url", "URL"),
    ("GET", "url", "URL"),
    ("GET https://{input.id}/", "url", "after the host"),
    ("GET https://api.{input.id}.test/", "url", "after the host"),
    ("GET https://api.vendor.test{input.id}", "url", "after the host"),
    ("GET https://api.vendor.test:{input.id}/", "url", "after the host"),
    (f"{BASE}/?{{input.id}}=1", "url", "in a value"),
    (f"{BASE}/?a{{input.id}}=1", "url", "in a value"),
    (f"{BASE}/a b", "url", "spaces"),
    (f"{BASE}/a#b", "url", "#"),
    (f"{BASE}/a\\b", "url", "backslashes"),
    (f"{BASE}/{{input.id", "url", "not closed"),
    (f"{BASE}/{{{{input.id}}}}", "url", "single braces for a placeholder: {input.id}"),
    ("GET {input.url}", "url", "after the host"),
    (f"{BASE}/input.id}}", "url", "without its {"),
    (f"{BASE}/{{}}", "url", "expression"),
    (f"{BASE}/{{input.}}", "url", "incomplete"),
    (f"{BASE}/{{input.other}}", "url", "Add it to `input`"),
    (f"{BASE}/{{inputs.id}}", "url", "Did you mean input?"),
    (f"{BASE}/{{id}}", "url", "Did you mean input.id?"),
    (f"{BASE}/{{ref}}", "url", "in a poll"),
    (f"{BASE}/{{body.id}}", "url", "no body"),
    (f"{BASE}/{{credentials.key}}", "url", "secrets"),
    (f"{BASE}/{{env.HOME}}", "url", "environment"),
    (f"{BASE}/?key={{VENDOR_ACME_KEY}}", "url", "environment"),
]

# What the definition has instead, the key of the fault, and words of its sentence.
CHANGES: list[tuple[dict[str, Any], str, str]] = [
    # unknown keys
    ({"jason": {}}, "jason", "query, headers, json, form, input"),
    ({"outcome": []}, "outcome", "Did you mean outcomes?"),
    ({"timeout": 5}, "timeout", "Unknown key"),
    ({"poll": poll(evry="5s")}, "poll.evry", "after, every, give_up"),
    ({"check": {"url": BASE, "result": "body"}}, "check.result", "outcomes, credits"),
    ({"outcomes": [{"status": 404, "is": "no_data", "then": 1}]}, "outcomes[0].then", "when"),
    ({"callback": callback(algorithm="sha1")}, "callback.algorithm", "hmac"),
    # the request
    ({"query": ["email"]}, "query", "table"),
    ({"query": "email"}, "query", "table"),
    ({"query": {"email": {"a": 1}}}, "query.email", "list"),
    ({"query": {"email": [[1]]}}, "query.email", "list"),
    ({"query": {"email": "{input.emial}"}}, "query.email", "Add it to `input`"),
    ({"query": {"email": "{{ input.email }}"}}, "query.email", "single braces"),
    ({"query": {"email": "{input.email"}}, "query.email", "not closed"),
    ({"query": {"email": "{input email}"}}, "query.email", "see character 7"),
    ({"query": {"{input.id}": "1"}}, 'query."{input.id}"', "in its value"),
    ({"query": {"a b": "{nothing}"}}, 'query."a b"', "input, job and call"),
    ({"headers": {"X Source": "1"}}, 'headers."X Source"', "name of a header"),
    ({"headers": {"X-A": ["1"]}}, "headers.X-A", "text or a number"),
    ({"headers": {"Host": "example.com"}}, "headers.Host", "itself"),
    ({"headers": {"Content-Length": "1"}}, "headers.Content-Length", "itself"),
    ({"headers": {"authorization": "Bearer x"}}, "headers.authorization", "credential"),
    ({"headers": {"X-Key": "{secret}"}}, "headers.X-Key", "secrets"),
    ({"headers": {"X-Id": "{job.number}"}}, "headers.X-Id", "job has id"),
    ({"headers": {"X-Id": "{call.url}"}}, "headers.X-Id", "callback_url, id and idempotency_key"),
    ({"json": {"a": {"b": ["{input.x}"]}}}, "json.a.b[0]", "Add it to `input`"),
    ({"json": {"a": "{ref}"}}, "json.a", "in a poll"),
    ({"json": {"a": "{"}}, "json.a", "not closed"),
    ({"json": {"a": "}"}}, "json.a", "without its {"),
    ({"json": {"a": "{input.'x'}"}}, "json.a", "JMESPath"),
    ({"json": {"a": "{upper(input.id)}"}}, "json.a", "no function upper"),
    ({"json": {"a": "{lower(input.id, 'x')}"}}, "json.a", "takes 1 argument"),
    ({"json": {"a": "{join(input.id)}"}}, "json.a", "takes 2 arguments"),
    ({"json": {"a": "{not_null()}"}}, "json.a", "at least 1 argument"),
    ({"json": {"a": date(2026, 1, 1)}}, "json.a", "text in quotes"),
    ({"json": {"a": float("inf")}}, "json.a", "finite"),
    ({"json": {"{input.id}": 1}}, 'json."{input.id}"', "in its value"),
    ({"form": {"a": "1"}}, "form", "one body"),
    ({"json": None, "form": [1]}, "form", "table"),
    ({"json": None, "form": {"a": {"b": 1}}}, "form.a", "list"),
    ({"json": None, "form": {"a": "{input}{env}"}}, "form.a", "secrets"),
    # input and credential
    ({"input": ["id", "email"]}, "input", "table"),
    ({"input": {"id": "required", "email": True}}, "input.email", "optional"),
    ({"input": {"id": "must", "email": "optional"}}, "input.id", "required"),
    (
        {"input": {"id": "required", "email": "optional", "vendor": "optional"}},
        "input.vendor",
        "EnrichLabs reads",
    ),
    ({"credential": 5}, "credential", "name of a table"),
    ({"credential": ""}, "credential", "name of a table"),
    # expressions about the answer
    ({"result": ""}, "result", "expression"),
    ({"result": 1}, "result", "expression"),
    ({"result": "body..data"}, "result", "JMESPath"),
    ({"result": "body.data["}, "result", "incomplete"),
    (
        {"result": "data"},
        "result",
        "Did you mean body.data? An expression here sees status, headers",
    ),
    ({"result": "email"}, "result", "Did you mean input.email?"),
    ({"result": "$.data"}, "result", "no $"),
    ({"result": "body" + ".a" * 500}, "result", "at most 1000"),
    ({"result": "!" * 60 + "body"}, "result", "nested too deeply"),
    ({"result": "body[::0]"}, "result", "step 0"),
    ({"result": "body || `1e999`"}, "result", "finite"),
    ({"result": "merge(body, {key: credentials.acme})"}, "result", "secrets"),
    ({"result": "[body, VENDOR_ACME_KEY]"}, "result", "environment"),
    ({"reference": "body.task-hash"}, "reference", "needs quotes"),
    ({"reference": "answer.id"}, "reference", "no answer"),
    ({"confidence": "number(body.a, body.b)"}, "confidence", "takes 1 argument"),
    ({"cost": "headers.x-credits"}, "cost", "needs quotes"),
    ({"cost": 'headers."X-Credits"'}, "cost", 'headers."x-credits"'),
    # outcomes
    ({"outcomes": {"status": 404}}, "outcomes", "list of rules"),
    ({"outcomes": [404]}, "outcomes[0]", "rule"),
    ({"outcomes": [{"is": "found"}]}, "outcomes[0]", "status or when"),
    ({"outcomes": [{"status": 404}]}, "outcomes[0].is", OUTCOMES),
    ({"outcomes": [{"status": 404, "is": "empty"}]}, "outcomes[0].is", OUTCOMES),
    ({"outcomes": [{"status": "404", "is": "found"}]}, "outcomes[0].status", "5xx"),
    ({"outcomes": [{"status": 4040, "is": "found"}]}, "outcomes[0].status", "404"),
    ({"outcomes": [{"status": [], "is": "found"}]}, "outcomes[0].status", "list"),
    ({"outcomes": [{"status": [404, True], "is": "found"}]}, "outcomes[0].status", "404"),
    (
        {"outcomes": [{"when": "body.code = 1", "is": "found"}]},
        "outcomes[0].when",
        "Compare with ==",
    ),
    ({"outcomes": [{"when": "code == `1`", "is": "found"}]}, "outcomes[0].when", "no code"),
    ({"outcomes": [{"when": "body.a == 0", "is": "found"}]}, "outcomes[0].when", "`0`"),
    ({"outcomes": [{"when": 'body.a == "x"', "is": "found"}]}, "outcomes[0].when", "single quotes"),
    ({"outcomes": [{"when": "!body.ready", "is": "found"}]}, "outcomes[0].when", "!(body.ready)"),
    ({"outcomes": [{"when": True, "is": "found"}]}, "outcomes[0].when", "expression"),
    (
        {"outcomes": [{"status": 404, "is": "no_data"}, {"when": "env.X", "is": "auth"}]},
        "outcomes[1].when",
        "environment",
    ),
    ({"outcomes": [{"status": 404, "is": "no_data"}] * 51}, "outcomes", "at most 50"),
    # polls
    ({"poll": "5s"}, "poll", "table"),
    ({"poll": poll(every=5)}, "poll.every", 'such as "5s"'),
    ({"poll": poll(every="5 minutes")}, "poll.every", '"10min"'),
    ({"poll": poll(every="0s")}, "poll.every", "at least 1s"),
    ({"poll": poll(after="100day")}, "poll.after", "at most 30day"),
    ({"poll": poll(give_up="5s")}, "poll.give_up", "at least 10s"),
    ({"poll": poll(url="https://api.vendor.test/{ref}")}, "poll.url", "method"),
    ({"poll": poll(url="GET https://{ref}/")}, "poll.url", "after the host"),
    ({"poll": poll(url="GET https://api.vendor.test/work")}, "poll.url", "{ref}"),
    ({"poll": poll(url=None, query={"id": "1"})}, "poll.query", "poll.url"),
    ({"poll": poll(url=None, json={"id": "1"})}, "poll.json", "poll.url"),
    ({"poll": poll(json={}, form={})}, "poll.form", "one body"),
    ({"poll": poll(query={"a": "{reference}"})}, "poll.query.a", "no reference"),
    ({"poll": poll(pending={"status": 400})}, "poll.pending", "list of rules"),
    ({"poll": poll(pending=[{"status": 400, "is": "found"}])}, "poll.pending[0].is", "Remove"),
    ({"poll": poll(restart=[{"status": 410, "is": "auth"}])}, "poll.restart[0].is", "Remove"),
    ({"poll": poll(pending=[{}])}, "poll.pending[0]", "status or when"),
    ({"poll": poll(pending=[{"when": "body.a =="}])}, "poll.pending[0].when", "incomplete"),
    ({"poll": poll(result="answer.data")}, "poll.result", "no answer"),
    ({"reference": None, "callback": None}, "reference", "poll with a url"),
    # checks
    ({"check": []}, "check", "table"),
    ({"check": {}}, "check.url", "required"),
    ({"check": {"url": "account"}}, "check.url", "method"),
    ({"check": {"url": f"{BASE}/{{input.id}}"}}, "check.url", "A check has no placeholders"),
    ({"check": {"url": BASE, "credits": "left"}}, "check.credits", "status, headers and body"),
    ({"check": {"url": BASE, "outcomes": [{"status": 404}]}}, "check.outcomes[0].is", "found"),
    # callbacks
    ({"callback": "sha1"}, "callback", "table"),
    ({"callback": {"reference": "body.id"}}, "callback.reference", "proof"),
    ({"callback": callback(reference="id")}, "callback.reference", "headers and body"),
    ({"callback": callback(reference="body.")}, "callback.reference", "incomplete"),
    ({"callback": callback(result="status")}, "callback.result", "no status"),
    ({"callback": callback(hmac="md5")}, "callback.hmac", "sha256"),
    ({"callback": callback(secret_env="SECRET_KEY")}, "callback.secret_env", "setting"),
    ({"callback": callback(thin=True), "poll": None}, "callback.thin", "Add `poll`"),
    ({"callback": {"confirm": True}, "poll": None}, "callback.confirm", "Add `poll`"),
    ({"poll": None, "reference": None}, "callback.reference", "Needs `reference`"),
    # nobody would bring the result
    ({"poll": None, "callback": None}, "reference", "poll or a callback"),
    (
        {
            "poll": None,
            "callback": None,
            "reference": None,
            "outcomes": [{"status": 202, "is": "pending"}],
        },
        "outcomes[0].is",
        "poll or a callback",
    ),
]


def faults_of(url: str, keys: dict[str, Any], **options: Any) -> dict[str, str]:
    try:
        compile_definition(url, keys, **options)
    except DefinitionFaults as error:
        return error.faults
    return {}


def test_the_definition_without_a_mistake_is_accepted() -> None:
    assert faults_of(URL, definition()) == {}


@pytest.mark.parametrize(("url", "key", "words"), URLS)
def test_a_faulty_url_is_refused(url: str, key: str, words: str) -> None:
    faults = faults_of(url, definition())
    assert list(faults) == [key]
    assert words in faults[key]


@pytest.mark.parametrize(("changes", "key", "words"), CHANGES)
def test_a_faulty_key_is_refused(changes: dict[str, Any], key: str, words: str) -> None:
    faults = faults_of(URL, definition(**changes))
    assert list(faults) == [key]
    assert words in faults[key]
    assert re.fullmatch(r"(?s)\S.*[.}\])]", faults[key])


def test_there_are_a_hundred_mistakes() -> None:
    assert len(URLS) + len(CHANGES) >= 100


def test_a_quote_that_is_not_closed_is_found_at_once() -> None:
    began = time.process_time()
    faults = faults_of(URL, definition(json={"a": "{'" + "\\'" * 100_000 + "}"}))
    assert "without its closing one" in faults["json.a"]
    assert time.process_time() - began < 1


def test_all_faults_are_reported_at_once() -> None:
    broken = definition(
        query={"a": "{x}", "b": "{y}"}, outcomes=[{"status": 1, "is": "z"}], poll={"evry": 1}
    )
    assert set(faults_of("nowhere", broken)) == {
        *("url", "query.a", "query.b", "poll.evry"),
        *("outcomes[0].status", "outcomes[0].is"),
    }


def test_without_input_any_field_may_be_used() -> None:
    keys = {"query": {"email": "{input.email}"}}
    assert faults_of("GET https://api.vendor.test/", keys) == {}


@pytest.mark.parametrize(
    ("url", "is_refused"),
    [
        ("https://API.vendor.test:443/{ref}", False),
        ("https://files.vendor.test/{ref}", False),
        ("https://other.vendor.test/{ref}", True),
        ("https://api.vendor.test:8443/{ref}", True),
        ("http://api.vendor.test/{ref}", True),
        ("http://files.vendor.test/{ref}", True),
    ],
)
def test_a_key_goes_to_another_host_only_if_the_credential_says_so(
    url: str, is_refused: bool
) -> None:
    credential = {"header": "X-Key", "keys_env": ["VENDOR_A"], "hosts": ["files.vendor.test"]}
    keys = definition(
        poll=poll(url=f"GET {url}"), check={"url": f"GET {url}".replace("{ref}", "me")}
    )
    found = faults_of(URL, keys, credential=credential)
    assert set(found) == ({"poll.url", "check.url"} if is_refused else set())
    assert all("`url`" in sentence for sentence in found.values())
    assert faults_of(URL, keys) == {}


@pytest.mark.parametrize("body", [{"json": {}}, {"form": {}}])
def test_a_credential_in_the_body_needs_one(body: dict[str, Any]) -> None:
    credential = {"body": "api_key", "keys_env": ["VENDOR_ACME_KEY"]}
    url = "POST https://api.vendor.test/"
    assert faults_of(url, body, credential=credential) == {}
    assert list(faults_of(url, {}, credential=credential)) == ["json"]
    check = {"check": {"url": "GET https://api.vendor.test/account"}}
    assert list(faults_of(url, {**body, **check}, credential=credential)) == ["check.json"]
