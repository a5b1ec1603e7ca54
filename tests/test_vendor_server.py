"""The scriptable vendor of tests, chaos and load tests."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from harness.vendor.scripted import Answer, VendorServer, in_turn
from harness.waiting import wait_for


@contextmanager
def running(*arguments):
    server = VendorServer(*arguments)
    try:
        yield server
    finally:
        server.stop()


def test_an_arrival_is_recorded_with_its_parts():
    began = time.time()
    with running() as server, requests.Session() as session:
        headers = {"Idempotency-Key": "a-key", "X-Odd": "1"}
        answer = session.post(f"{server.url}path?x=1", json={"name": "John"}, headers=headers)
        [arrival] = server.arrivals
    assert (answer.status_code, answer.json()) == (200, {"name": "John", "info": "done"})
    assert (arrival.method, arrival.path, arrival.caller) == ("POST", "/path?x=1", "127.0.0.1")
    assert (arrival.key, arrival.headers["x-odd"]) == ("a-key", "1")
    assert arrival.body == {"name": "John"}
    assert began <= arrival.at <= time.time()


def test_a_script_sets_status_headers_and_delay():
    script = in_turn(
        Answer(429, {"error": "slow down"}, (("Retry-After", "3"),), delay_seconds=0.2),
        Answer(599),
    )
    with running(script) as server, requests.Session() as session:
        since = time.monotonic()
        first = session.post(server.url)
        assert time.monotonic() - since >= 0.2
        others = [session.post(server.url).status_code for _ in range(2)]
    assert (first.status_code, first.headers["Retry-After"]) == (429, "3")
    assert others == [599, 599]


def test_bytes_are_sent_as_they_are():
    with running(lambda _: b"HTTP/1.1 204 Odd\r\n\r\n") as server:
        assert requests.post(server.url, timeout=5).reason == "Odd"


def test_a_held_call_stays_in_flight_until_it_is_released():
    with running(lambda _: Answer()) as server, ThreadPoolExecutor(1) as client:
        server.hold.clear()
        call = client.submit(requests.post, server.url, timeout=20)
        wait_for(lambda: server.arrivals, "the call")
        assert not call.done()
        server.hold.set()
        assert call.result().status_code == 200


def test_calls_share_no_bytes_when_they_arrive_in_pieces():
    with running() as server, requests.Session() as session:
        for size in (1, 100_000, 10):
            session.post(server.url, json={"name": "x" * size}).raise_for_status()
    assert [len(arrival.body["name"]) for arrival in server.arrivals] == [1, 100_000, 10]
