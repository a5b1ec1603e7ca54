"""Values of a job can't leave their place in a request, and keep their JSON type."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vendors.base import Call
from vendors.definitions.compiled import compile_definition
from vendors.definitions.request import Request
from vendors.definitions.templates.text import UnfillableError
from vendors.payloads import exact
from vendors.payloads.json_reader import VENDOR_JSON

URL = "GET https://api.vendor.test/v1/{input.id}/tail?fixed=a,b&value={input.value}"
AWKWARD = [
    "..",
    ".",
    "/",
    "a/../b",
    "%2f",
    "%2e%2e",
    "?x=1",
    "#f",
    "&a=b",
    "a b",
    "+",
    "é",
    "..\\x",
]
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(AWKWARD)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def call_with(value: Any, reference: str = "") -> Call:
    return Call("job-1", value, "job-1:1", "https://example.com/cb?token=t", reference)


def request_of(url: str, keys: dict[str, Any], value: Any, reference: str = "") -> Request:
    return compile_definition(url, keys).call.build(call_with(value, reference))


def sent(request: Request) -> str:
    """Return the URL as it is on the wire."""
    return str(requests.Request(request.method, request.encoded()[0]).prepare().url)


@settings(max_examples=50)
@given(texts, texts)
@example("..", "")
@example("%2e%2e", "..")
@example("a/..", "x")
def test_a_value_in_the_url_stays_in_its_segment_or_parameter(id_: str, value: str) -> None:
    try:
        request = request_of(URL, {}, {"id": id_, "value": value})
    except UnfillableError:
        assert _leaves(id_) or _leaves(unquote(id_))
        return
    parts = urlsplit(sent(request))
    assert parts.netloc == "api.vendor.test"
    assert not parts.fragment
    segments = parts.path.split("/")
    assert [segments[:2], segments[3:]] == [["", "v1"], ["tail"]]
    assert unquote(segments[2]) == id_
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    assert query == [("fixed", "a,b"), ("value", value)]


def _leaves(text: str) -> bool:
    parts = text.replace("\\", "/").split("/")
    plain = ("".join(it for it in part.split(";")[0] if it.isprintable()) for part in parts)
    return not text or bool({".", ".."} & {part.replace(" ", "") for part in plain})


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["a", "b"]), texts))
def test_a_value_stays_in_its_parameter_or_field(given_input: dict[str, str]) -> None:
    keys = {"query": {"a": "{input.a}", "x y&": "{input.b}"}}
    request = request_of("GET https://api.vendor.test/?z=1", keys, given_input)
    expected = [
        (name, given_input[of]) for name, of in (("a", "a"), ("x y&", "b")) if of in given_input
    ]
    query = parse_qsl(urlsplit(sent(request)).query, keep_blank_values=True)
    assert query == [("z", "1"), *expected]
    form = request_of("POST https://api.vendor.test/", {"form": keys["query"]}, given_input)
    body = form.encoded()[2].decode("ascii")
    assert parse_qsl(body, keep_blank_values=True) == expected


@settings(max_examples=50)
@given(texts)
def test_a_value_stays_in_its_header(value: str) -> None:
    keys = {"headers": {"X-Name": "{input.name}"}}
    try:
        request = request_of("GET https://api.vendor.test/", keys, {"name": value})
    except UnfillableError:
        assert not (value.isascii() and value.isprintable())
        return
    assert request.headers == {"X-Name": value}


@settings(max_examples=50)
@given(values)
def test_a_placeholder_that_fills_a_text_keeps_the_json_type(value: Any) -> None:
    keys = {"json": {"whole": "{input.x}", "kept": [1, "{input.x}"]}}
    request = request_of("POST https://api.vendor.test/", keys, {"x": value})
    expected = {"kept": [1]} if value is None else {"whole": value, "kept": [1, value]}
    assert json.loads(request.encoded()[2]) == expected


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("Dr. {input.x}!", "No", "Dr. No!"),
        ("{input.x}-{input.x}", 7, "7-7"),
        ("{input.x} EUR", 1.5, "1.5 EUR"),
        ("{input.x}-", None, None),
        ("{{{input.x}}}", "a", "{a}"),
        ("{{x}}", "a", "{x}"),
        ("{ {a: input.x} }", "a", {"a": "a"}),
        ("{ {a: input.x, b: '}'} }", "a", {"a": "a", "b": "}"}),
        ("{input.x || 'none'}", None, "none"),
        ('{input."x"}', True, True),
        ("", "a", ""),
        ("{input.x}", {"deep": [1, None]}, {"deep": [1, None]}),
    ],
)
def test_texts(template: str, value: Any, expected: Any) -> None:
    request = request_of("POST https://api.vendor.test/", {"json": {"t": template}}, {"x": value})
    assert request.json == ({} if expected is None else {"t": expected})


@pytest.mark.parametrize("value", [True, [1], {"a": 1}])
def test_only_text_and_numbers_fit_into_a_text(value: Any) -> None:
    for url, keys, key in [
        ("POST https://api.vendor.test/", {"json": {"t": ["-{input.x}"]}}, "json.t[0]"),
        ("GET https://api.vendor.test/?a={input.x}", {}, "url"),
        ("GET https://api.vendor.test/", {"query": {"a": "{input.x}-"}}, "query.a"),
    ]:
        with pytest.raises(UnfillableError, match=r"^" + key.replace("[", r"\[")):
            request_of(url, keys, {"x": value})


def test_lists_and_booleans_in_queries() -> None:
    keys = {"query": {"name[]": "{input.names}", "all": True, "n": 5, "none": "{input.no}"}}
    request = request_of("GET https://api.vendor.test/", keys, {"names": ["a", 1, None, False]})
    assert request.query == [
        *(("name[]", "a"), ("name[]", "1"), ("name[]", "false")),
        *(("all", "true"), ("n", "5")),
    ]


def test_null_leaves_out_query_values_and_headers_but_not_a_segment() -> None:
    keys = {"headers": {"X-A": "{input.a}"}, "query": {"b": "{input.b}"}}
    url = "GET https://api.vendor.test/p?c={input.c}&d=1"
    request = request_of(url, keys, {})
    assert request.encoded() == ("https://api.vendor.test/p?d=1", {}, b"")
    with pytest.raises(UnfillableError, match="null"):
        request_of("GET https://api.vendor.test/{input.a}/x", {}, {})


def test_numbers_keep_their_digits() -> None:
    value = VENDOR_JSON.read(b'{"n": 12345678901234567.125}')
    keys = {"json": {"n": "{input.n}", "t": "is {input.n}"}, "query": {"n": "{input.n}"}}
    request = request_of("POST https://api.vendor.test/", keys, value)
    assert exact.write(request.json) == (
        '{"n":12345678901234567.125,"t":"is 12345678901234567.125"}'
    )
    assert request.query == [("n", "12345678901234567.125")]


def test_names_of_the_call() -> None:
    keys = {"json": {"all": "{call}", "job": "{job.id}"}}
    assert request_of("POST https://api.vendor.test/", keys, {}).json == {
        "all": {
            "id": "job-1:1",
            "idempotency_key": "job-1:1",
            "callback_url": "https://example.com/cb?token=t",
        },
        "job": "job-1",
    }


def test_a_request_that_is_too_much_work_is_not_made() -> None:
    keys = {"json": {"bomb": "{input.x" + "|[@,@][]" * 20 + "}"}}
    with pytest.raises(UnfillableError, match="too much work"):
        request_of("POST https://api.vendor.test/", keys, {"x": [1]})


def test_a_content_type_of_the_definition_counts() -> None:
    keys = {"json": [1], "headers": {"content-type": "application/vnd.api+json"}}
    _, headers, body = request_of("POST https://api.vendor.test/", keys, {}).encoded()
    assert (headers, body) == ({"content-type": "application/vnd.api+json"}, b"[1]")
