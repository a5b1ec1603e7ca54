"""The mock vendors answer like real ones, as their knobs say."""

import json
import time
from itertools import islice

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from vendors.mock.knobs import Knobs, _seeded

OTHERS = (
    "127.0.0.1:6379",
    "127.0.0.1:80000",
    "127.0.0.1",
    "127.0.0.1:8000@evil.example",
    "evil.example",
)
GIVEN = {"name": "John Doe"}
ANSWER = {"name": "John Doe", "info": "Processed sync", "ssn": "123-45-6789"}


@pytest.fixture(autouse=True)
def _empty_ledger(client: Client) -> None:
    assert client.delete("/mock-vendors/ledger").status_code == 204


def call(
    client: Client, query: str = "", body: object = GIVEN, vendor: str = "sync"
) -> HttpResponse:
    return client.post(
        f"/mock-vendors/{vendor}{query}",
        body,
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )


def arrivals(client: Client, since: int = 0) -> list[dict[str, object]]:
    return client.get(f"/mock-vendors/ledger?since={since}").json()["arrivals"]


def test_the_sync_vendor_answers_at_once(client: Client) -> None:
    answer = call(client)
    assert (answer.status_code, answer.json()) == (200, ANSWER)


def test_no_csrf_token_is_needed() -> None:
    assert call(Client(enforce_csrf_checks=True)).status_code == 200


@pytest.mark.parametrize("vendor", ["sync", "async"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"{}", b"\xff"])
def test_a_body_without_a_name_is_rejected(body: bytes, vendor: str, client: Client) -> None:
    answer = call(client, body=body, vendor=vendor)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Send a JSON object with a name."},
    )


@pytest.mark.parametrize(
    "url", [None, 5, "", "ftp://x/", "http://", "//x/", *(f"http://{host}/x" for host in OTHERS)]
)
def test_the_async_vendor_calls_back_only_public_url(
    url: object, client: Client, settings: object
) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    answer = call(client, body={**GIVEN, "callback_url": url}, vendor="async")
    assert (answer.status_code, "callback_url" in answer.json()["error"]) == (400, True)


def test_only_post_is_allowed(client: Client) -> None:
    assert client.get("/mock-vendors/sync").status_code == 405
    assert arrivals(client) == []


@pytest.mark.parametrize(
    "query",
    [
        "latency=x",
        "latency=-1",
        "latency=nan",
        "latency=1e9",
        "latency=",
        "error_rate=2",
        "status=99",
        "status=2.5",
        "rate=0",
    ]
    + [
        "body=odd",
        "callback_delay=inf",
        "duplicates=-1",
        "duplicates=101",
        "lost=1.1",
        "retry_after=a%0d%0ab",
        "secret_env=a-b",
    ],
)
def test_an_invalid_knob_is_explained(query: str, client: Client) -> None:
    answer = call(client, f"?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{query.partition('=')[0]}: ")


def test_an_unknown_knob_is_rejected_with_the_known_ones(client: Client) -> None:
    answer = call(client, "?latenzy=1")
    assert answer.json()["error"].startswith(
        "Unknown knob 'latenzy'. The known ones are latency, error_rate, status,"
    )


def test_the_answer_waits_for_the_latency(client: Client) -> None:
    began = time.monotonic()
    assert call(client, "?latency=0.1").status_code == 200
    assert time.monotonic() - began >= 0.1


def test_the_status_is_as_configured(client: Client) -> None:
    answer = call(client, "?status=503&retry_after=7")
    assert (answer.status_code, answer["Retry-After"]) == (503, "7")
    assert call(client, "?status=201").json() == ANSWER
    assert call(client, "?status=204").content == b""


def test_the_error_rate_is_as_configured(client: Client) -> None:
    statuses = [call(client, "?error_rate=0.3&seed=a").status_code for _ in range(200)]
    assert 30 <= statuses.count(500) <= 90
    assert 30 <= 200 - statuses.count(200) <= 90
    assert [call(client, f"?error_rate={rate}").status_code for rate in (0, 1)] == [200, 500]


def test_the_same_seed_draws_the_same_numbers() -> None:
    def draw() -> list[float]:
        _seeded.cache_clear()
        return [Knobs(seed="a").luck.random() for _ in range(5)]

    assert draw() == draw()


def test_calls_above_the_rate_get_429(client: Client) -> None:
    answers = [call(client, "?rate=5&seed=of-this-test") for _ in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert answers[-1]["Retry-After"] == "1"
    assert call(client, "?rate=6&seed=of-this-test").status_code == 200  # rates are per URL


def test_bodies_can_be_broken(client: Client) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(call(client, "?body=malformed").content)
    html = call(client, "?body=html")
    assert (html.status_code, html["Content-Type"]) == (200, "text/html; charset=utf-8")
    endless = call(client, "?body=endless").streaming_content
    assert sum(len(piece) for piece in islice(endless, 100)) > 6_000_000


def test_a_dripping_body_is_correct_but_slow(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vendors.mock.views.DRIP_SECONDS", 0.001)
    drops = list(call(client, "?body=drip").streaming_content)
    assert {len(drop) for drop in drops} == {1}
    assert json.loads(b"".join(drops)) == ANSWER


def test_the_ledger_lists_arrivals_in_order(client: Client) -> None:
    before = time.time()
    call(client)
    call(client, "?status=500")
    call(
        client,
        body={**GIVEN, "callback_url": f"{settings.PUBLIC_URL}/"},
        vendor="async",
        query="?lost=1",
    )
    listed = arrivals(client)
    assert [(one["vendor"], one["status"], one["idempotency_key"]) for one in listed] == [
        ("sync", 200, "k"),
        ("sync", 500, "k"),
        ("async", 202, "k"),
    ]
    assert before <= listed[0]["at"] <= listed[1]["at"] <= listed[2]["at"] <= time.time()
    assert arrivals(client, since=listed[1]["index"]) == listed[2:]


def test_deleting_the_ledger_does_not_reset_its_indexes(client: Client) -> None:
    call(client)
    last = arrivals(client)[0]["index"]
    client.delete("/mock-vendors/ledger")
    assert arrivals(client) == []
    call(client)
    assert arrivals(client, since=last)[0]["index"] == last + 1


@pytest.mark.parametrize("since", ["x", "-1", "", "9" * 5000])
def test_the_ledger_rejects_an_invalid_since(since: str, client: Client) -> None:
    assert client.get(f"/mock-vendors/ledger?since={since}").status_code == 400
