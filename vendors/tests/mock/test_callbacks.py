"""The async mock vendor accepts at once and calls back later, as its knobs say."""

import base64
import json
import time
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client, override_settings
from standardwebhooks import Webhook

from harness.vendor.server import Server, Visit, answering, reply
from harness.waiting import wait_for

RESULT = {"name": "John Doe", "info": "Processed async", "ssn": "999-99-9999"}
SECRET = "whsec_" + base64.b64encode(b"twenty-four secret bytes").decode()


def call(client: Client, server: Server, query: str) -> HttpResponse:
    """Call the vendor with the server's address as PUBLIC_URL."""
    body = {"name": "John Doe", "callback_url": f"{server.url}vendor-webhook/async/1?token=t"}
    with override_settings(PUBLIC_URL=server.url.rstrip("/")):
        return client.post(f"/mock-vendors/async?{query}", body, content_type="application/json")


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }


def wait_for_requests(server: Server, number: int) -> list[bytes]:
    return wait_for(
        lambda: len(server.requests) >= number and server.requests, f"{number} callbacks"
    )


def test_the_result_is_posted_to_the_callback_url_after_the_delay(
    client: Client, serve: Callable[..., Server]
) -> None:
    server, began = serve(answering(reply())), time.monotonic()
    answer = call(client, server, "callback_delay=0.3")
    assert (answer.status_code, answer.json(), server.visits) == (202, {"accepted": True}, 0)
    request = wait_for_requests(server, 1)[0]
    assert time.monotonic() - began >= 0.3
    assert request.startswith(b"POST /vendor-webhook/async/1?token=t HTTP/1.1")
    assert json.loads(body_of(request)) == RESULT


def test_callbacks_are_posted_in_order_of_their_due_time(
    client: Client, serve: Callable[..., Server]
) -> None:
    late, early = serve(answering(reply())), serve(answering(reply()))
    call(client, late, "callback_delay=0.3")
    call(client, early, "callback_delay=0.05")
    wait_for_requests(early, 1)
    assert late.requests == []
    wait_for_requests(late, 1)


def test_a_hanging_callback_does_not_delay_others(
    client: Client, serve: Callable[..., Server]
) -> None:
    hanging, quick = serve(Visit.hang), serve(answering(reply()))
    call(client, hanging, "callback_delay=0")
    call(client, quick, "callback_delay=0")
    wait_for(lambda: quick.requests, "the other callback", seconds=5)


def test_duplicates_are_identical(client: Client, serve: Callable[..., Server]) -> None:
    server = serve(answering(reply()))
    call(client, server, "callback_delay=0&duplicates=2")
    assert len({body_of(request) for request in wait_for_requests(server, 3)}) == 1


def test_a_lost_callback_is_never_posted(client: Client, serve: Callable[..., Server]) -> None:
    lost, other = serve(answering(reply())), serve(answering(reply()))
    assert call(client, lost, "callback_delay=0&lost=1").status_code == 202
    call(client, other, "callback_delay=0.1")
    wait_for_requests(other, 1)
    assert lost.visits == 0


@pytest.fixture
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vendors.mock.callbacks.RETRY_AFTER_SECONDS", (0.05, 0.05))


@pytest.mark.usefixtures("_quick_retries")
@pytest.mark.parametrize(
    "fail", [lambda visit: visit.send(reply("503 Away")), Visit.reset], ids=["refused", "reset"]
)
def test_a_failed_callback_is_retried(
    fail: Callable[[Visit], None], client: Client, serve: Callable[..., Server]
) -> None:
    def talk(visit: Visit) -> None:
        visit.read_request()
        fail(visit) if visit.server.visits < 3 else visit.send(reply())

    server = serve(talk)
    call(client, server, "callback_delay=0")
    assert [json.loads(body_of(request)) for request in wait_for_requests(server, 3)] == [
        RESULT
    ] * 3


@pytest.mark.usefixtures("_quick_retries")
def test_a_callback_is_given_up_without_logging_its_url(
    client: Client, serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(answering(reply("503 Away")))
    call(client, server, "callback_delay=0")
    wait_for(lambda: "after 3 attempts: status 503" in caplog.text, "the last attempt")
    assert "token" not in caplog.text
    assert len(server.requests) == 3


@pytest.mark.usefixtures("_quick_retries")
def test_a_rejected_callback_is_not_retried(client: Client, serve: Callable[..., Server]) -> None:
    refusing, other = serve(answering(reply("401 Who"))), serve(answering(reply()))
    call(client, refusing, "callback_delay=0")
    wait_for_requests(refusing, 1)
    call(client, other, "callback_delay=0.2")
    wait_for_requests(other, 1)
    assert len(refusing.requests) == 1


def test_the_reference_library_verifies_a_signed_callback(
    client: Client, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SECRET", f"{SECRET}, whsec_b2xk")
    server = serve(answering(reply()))
    call(client, server, "callback_delay=0&secret_env=MOCK_SECRET")
    request = wait_for_requests(server, 1)[0]
    assert Webhook(SECRET).verify(body_of(request), headers_of(request)) == RESULT


def test_duplicates_share_an_id_and_other_callbacks_do_not(
    client: Client, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_SECRET", SECRET)
    server = serve(answering(reply()))
    for _ in range(2):
        call(client, server, "callback_delay=0&duplicates=1&secret_env=MOCK_SECRET")
    requests = wait_for_requests(server, 4)
    assert len({headers_of(request)["webhook-id"] for request in requests}) == 2


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_not base64"])
def test_an_unusable_secret_is_rejected(
    secret: str | None,
    client: Client,
    serve: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if secret is not None:
        monkeypatch.setenv("MOCK_SECRET", secret)
    answer = call(client, serve(answering(reply())), "secret_env=MOCK_SECRET")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The variable MOCK_SECRET must hold a base64 secret")


@pytest.mark.parametrize(
    "variable", ["VENDOR_ACME_WEBHOOK_SECRET", "SECRET_KEY", "MOCK_", "MOCK_PORT", "mock_secret"]
)
def test_only_mock_variables_can_sign(
    variable: str, client: Client, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, SECRET)
    server = serve(answering(reply()))
    answer = call(client, server, f"callback_delay=0&secret_env={variable}")
    assert answer.status_code == 400
    assert "variable" in answer.json()["error"]
    assert server.visits == 0
