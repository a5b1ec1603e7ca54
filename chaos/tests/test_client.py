"""The campaign's clients, against an API that is scripted."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from django.db import OperationalError

from chaos import client
from chaos import keyring as keyrings
from chaos.client import Clients
from chaos.journal import Journal
from chaos.keyring import Keyring
from chaos.submissions import CLIENTS, OPTION_PERCENTS, PROBE_PERCENTS, client_of, submission_of
from clients import issuing
from clients.models import ApiKey
from harness.vendor.scripted import Answer, VendorServer
from harness.waiting import wait_for

SEED = 7


class Keys:
    """A keyring without a store."""

    def headers(self, slug):
        return {"Authorization": f"Bearer key of {slug}"}

    def rotate(self, slug):
        raise AssertionError("too early")


@pytest.fixture
def posts(monkeypatch):
    """Let clients post one job after the other; yields a function that returns the requests."""
    monkeypatch.setattr(client, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(client, "THREADS", 1)
    monkeypatch.setattr(client, "manner_of", lambda *_: "")
    monkeypatch.setattr(client, "plan_of", lambda *_: type("Plan", (), {"client": ""}))
    servers = []

    def posts(script, kind="", jobs=1, hosts=1):
        monkeypatch.setattr(client, "probe_of", lambda *_: kind)
        servers.extend(VendorServer(script) for _ in range(hosts))
        urls = [server.url.rstrip("/") for server in servers]
        clients = Clients(urls, SEED, 1000.0, Keys(), Journal())
        clients.start()
        wait_for(lambda: len({each.serial for each in clients.posted}) > jobs, "the requests")
        clients.stop()
        return clients, [arrival for server in servers for arrival in server.arrivals]

    yield posts
    for server in servers:
        server.stop()


def after(*failures):
    """Fail in these ways first; after that accept each job, under an id of its own."""
    left = list(failures)

    def answer(arrival):
        if arrival.method == "GET":
            return Answer(200, {})
        if left:
            return left.pop(0)
        return Answer(202, {"request_id": f"id of {arrival.body['serial']}"})

    return answer


def of_serial(arrivals, serial):
    return [arrival for arrival in arrivals if arrival.body["serial"] == serial]


def test_a_request_is_repeated_unchanged_until_it_is_accepted(posts):
    failures = [b"no HTTP\r\n\r\n", Answer(500, {}), Answer(503, {}), Answer(429, {})]
    clients, arrivals = posts(after(*failures))
    first = of_serial(arrivals, 1)
    names = ("authorization", "idempotency-key")
    assert len(first) == 5
    assert len({(each.raw, *(each.headers[name] for name in names)) for each in first}) == 1
    assert [each.answer for each in clients.posted[:5]] == [
        "ConnectionError",
        "500",
        "503",
        "429",
        "202",
    ]
    assert clients.posted[4].job_id == "id of 1"


def test_a_request_that_is_refused_is_not_repeated(posts):
    clients, arrivals = posts(after(Answer(401, {})))
    assert [each.answer for each in clients.posted if each.serial == 1] == ["401"]
    assert len(of_serial(arrivals, 1)) == 1


def test_another_host_is_asked_at_once(posts):
    clients, _ = posts(after(Answer(503, {})), hosts=2)
    failed, accepted = [each for each in clients.posted if each.serial == 1]
    assert failed.api != accepted.api
    assert accepted.at < failed.at + failed.took_seconds + client.AGAIN_SECONDS


def test_an_impatient_client_does_not_wait_for_the_first_answer(posts, monkeypatch):
    monkeypatch.setattr(client, "manner_of", lambda *_: "impatient")
    clients, arrivals = posts(after(Answer(202, {"request_id": "unseen"}, delay_seconds=0.2)))
    first, second = [each for each in clients.posted if each.serial == 1][:2]
    assert (first.answer, second.answer) == ("ReadTimeout", "202")
    assert len({each.raw for each in of_serial(arrivals, 1)}) == 1


def test_the_same_request_is_sent_several_times_at_once(posts, monkeypatch):
    monkeypatch.setattr(client, "manner_of", lambda *_: "at_once")
    clients, arrivals = posts(lambda _: Answer(202, {"request_id": "one"}, delay_seconds=0.2))
    *at_once, last = [each for each in clients.posted if each.serial == 1]
    assert len(at_once) == client.AT_ONCE
    assert max(each.at for each in at_once) < min(each.at for each in at_once) + 0.2 < last.at
    assert len({each.raw for each in of_serial(arrivals, 1)}) == 1


def test_clients_use_the_same_idempotency_keys_with_api_keys_of_their_own(posts):
    _, arrivals = posts(after(), jobs=6)
    of_keys = {arrival.body["serial"]: arrival for arrival in arrivals}
    for serial in range(1, 7):
        headers = of_keys[serial].headers
        assert headers["authorization"] == f"Bearer key of {client_of(serial)}"
        assert headers["idempotency-key"] == f"order-{(serial - 1) // 3}"


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        ("replay", [("POST", "/jobs", "billing")]),
        ("other_body", [("POST", "/jobs", "billing")]),
        ("foreign_job", [("GET", "/jobs/one", "sales"), ("POST", "/jobs/one/cancel", "sales")]),
        ("list", [("GET", "/jobs?limit=100", "billing")]),
    ],
)
def test_an_accepted_job_is_probed(posts, kind, requests):
    clients, arrivals = posts(lambda _: Answer(202, {"request_id": "one"}), kind)
    _, *others = arrivals[: 1 + len(requests)]
    key = "Bearer key of "
    assert requests == [
        (each.method, each.path, each.headers["authorization"].removeprefix(key)) for each in others
    ]
    assert {each.kind for each in clients.probed} == {kind}
    if kind == "replay":
        assert arrivals[0].raw == arrivals[1].raw
    if kind == "other_body":
        assert arrivals[0].key == arrivals[1].key
        assert arrivals[0].body != arrivals[1].body


def test_the_first_foreign_job_of_a_list_is_noted(posts):
    def answer(arrival):
        items = [{"request_id": f"id of {n}", "name": f"Job {n}"} for n in (1, 4, 5, 6)]
        return Answer(200, {"items": items}) if arrival.method == "GET" else after()(arrival)

    clients, _ = posts(answer, "list")
    assert clients.probed[0].got_id == "id of 5"


def test_requests_depend_on_the_seed_and_most_have_no_options():
    now = datetime.now(UTC)
    some = [submission_of(SEED, serial, now) for serial in range(1, 4001)]
    assert some[:200] == [submission_of(SEED, serial, now) for serial in range(1, 201)]
    options = Counter(name for each in some for name in each.options)
    assert set(options) == set(OPTION_PERCENTS)
    assert sum(options.values()) < 0.1 * len(some)
    assert len({(each.client, each.key) for each in some}) == len(some)
    kinds = Counter(client.probe_of(SEED, serial) for serial in range(1, 4001))
    assert set(kinds) == {*PROBE_PERCENTS, ""}


@pytest.mark.django_db(transaction=True)
def test_a_key_is_rotated_as_soon_as_the_store_answers(monkeypatch):
    keyring = Keyring()
    keyring.create()
    before = keyring.headers(CLIENTS[0])
    rotate, errors = issuing.rotate, [OperationalError("locked")]
    monkeypatch.setattr(keyrings, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(
        issuing, "rotate", lambda *given, **named: fail(errors) or rotate(*given, **named)
    )
    keyring.rotate(CLIENTS[0])
    assert keyring.rotations == 1
    assert keyring.headers(CLIENTS[0]) != before
    assert ApiKey.objects.filter(client__slug=CLIENTS[0], expires_at=None).count() == 1
    assert ApiKey.objects.count() == len(CLIENTS) + 1


def fail(errors):
    if errors:
        raise errors.pop()
