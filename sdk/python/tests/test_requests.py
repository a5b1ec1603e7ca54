"""How the client sends requests: repeatedly, within a deadline, and the key to nobody else."""

import logging
import re
import socket
import ssl
import subprocess
import time

import enrichlabs_client as sdk
import pytest
from enrichlabs_client.http import transport
from enrichlabs_client.http.answers import retry_after
from scripted_peer import CUT, Peer, Reply

from conftest import KEY

HALF = b"HTTP/1.1 401 Unauthorized\r\nContent-Ty"
QUEUED = Reply({"request_id": "job-1", "status": "queued", "new_field": [1]}, 202)


def problem(status, code="made_up", retry_after=None, **members):
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    body = {"status": status, "code": code, "detail": "A sentence.", **members}
    return Reply(body, status, {"Content-Type": "application/problem+json", **headers})


@pytest.mark.parametrize(
    "failure",
    [
        CUT,
        Reply(raw=HALF),
        problem(408),
        problem(429, retry_after=3),
        problem(503),
        Reply(b"<html>", 502),
    ],
    ids=["cut", "cut in the head", "408", "429", "503", "502 of a proxy"],
)
def test_a_post_is_repeated_with_the_same_idempotency_key(client, peer, pauses, failure):
    peer.script = [failure, failure, QUEUED]
    job = client.submit(vendor="acme", name="John Doe")
    assert (job.id, job.status, job.raw["new_field"]) == ("job-1", "queued", [1])
    assert len({(seen.headers["Idempotency-Key"], seen.body) for seen in peer.seen}) == 1
    assert [seen.headers["Authorization"] for seen in peer.seen] == [f"Bearer {KEY}"] * 3
    asked = failure.headers.get("Retry-After")
    assert pauses == [3.0, 3.0] if asked else all(0.25 <= pause <= 1 for pause in pauses)


def test_a_retry_after_beyond_the_deadline_ends_the_call(client, peer, pauses):
    peer.script = [problem(429, "queue_full", retry_after=60)]
    with pytest.raises(sdk.RateLimited) as caught:
        client.submit(vendor="acme", name="John Doe")
    assert (caught.value.code, caught.value.retry_after, pauses) == ("queue_full", 60.0, [])


def test_failures_end_when_patience_does(client, peer, monkeypatch):
    clock = [time.monotonic()]
    monkeypatch.setattr("enrichlabs_client.http.retries.monotonic", lambda: clock[0])
    monkeypatch.setattr(
        "enrichlabs_client.http.retries.sleep",
        lambda seconds: clock.__setitem__(0, clock[0] + seconds),
    )
    client.timeout = 20.0
    peer.script = [problem(500)]
    with pytest.raises(sdk.ServiceUnavailable):
        client.vendors()
    assert 3 < len(peer.seen) < 10


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, sdk.InvalidRequest),
        (401, sdk.AuthenticationError),
        (403, sdk.PermissionDenied),
        (404, sdk.NotFound),
        (409, sdk.ConflictError),
        (422, sdk.InvalidRequest),
    ],
)
def test_refusals_are_typed_and_not_repeated(client, peer, status, kind):
    error = {"code": "required", "detail": "Give a name.", "pointer": "/name"}
    peer.script = [problem(status, errors=[error, "odd"])]
    with pytest.raises(kind) as caught:
        client.get("job-1")
    assert (caught.value.status, caught.value.code) == (status, "made_up")
    assert caught.value.errors == (sdk.FieldError("required", "Give a name.", "/name"),)
    assert len(peer.seen) == 1


@pytest.mark.parametrize("action", ["cancel", "retry", "cancel_batch", "retry_batch"])
def test_an_action_that_may_have_been_done_is_not_repeated(client, peer, pauses, action):
    unclear = [CUT, problem(503, "store_unavailable"), Reply(b"<html>", 503), problem(408)]
    for reply in unclear:
        peer.script, peer.seen = [reply], []
        with pytest.raises(sdk.ConnectionFailed if reply is CUT else sdk.ServiceUnavailable):
            getattr(client, action)("id-1")
        assert len(peer.seen) == 1
    done = Reply({"request_id": "id-1", "status": "queued", "batch_id": "id-1", "state": "running"})
    peer.script = [problem(503, "overloaded"), problem(429, retry_after=3), done]
    assert getattr(client, action)("id-1").id == "id-1"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 -0000", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 999_999_999),
        ("9" * 20, 999_999_999),
        ("soon", None),
    ],
)
def test_any_retry_after_can_be_read(value, seconds):
    assert retry_after({"Retry-After": value}) == seconds


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get("\ud800"),
        lambda client: client.cancel_batch("\ud800"),
        lambda client: client.submit(name="\ud800"),
        lambda client: client.submit(name=float("nan")),
        lambda client: list(client.jobs(reference="\ud800")),
        lambda client: client.submit_many([{"name": "J"}], reference="\ud800"),
        lambda client: client.submit_many([{"name": "J"}], key="k" * 241),
    ],
)
def test_what_no_request_can_have_is_an_invalid_argument(client, peer, call):
    with pytest.raises(sdk.InvalidArgument, match=r"surrogate pair|1 to 240 printable") as caught:
        call(client)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, sdk.EnrichLabsError)
    assert not peer.seen


def test_a_name_that_is_not_found_fails_at_once_unless_it_was_before(
    client, peer, pauses, monkeypatch
):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    peer.script = [Reply({"items": []}, headers={"Connection": "close"})]
    client.vendors()
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("enrichlabs_client.http.retries.PATIENCE_SECONDS", 1)
    with pytest.raises(sdk.ConnectionFailed):
        client.vendors()
    assert pauses
    pauses.clear()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(sdk.ConnectionFailed, match=r"^x\.example can't .*: its name is not found"):
        sdk.Client("http://x.example", KEY).vendors()
    assert not pauses


@pytest.mark.parametrize("status", [404, 500])
def test_an_answer_of_something_else_names_the_url(client, peer, pauses, status):
    peer.script = [Reply(b"<html>", status)]
    client.timeout = 0.1
    with pytest.raises(sdk.ApiError) as caught:
        client.vendors()
    shown = f"The server at {peer.url} answered {status}, but not as EnrichLabs does."
    assert str(caught.value).startswith(shown)
    assert ("Check ENRICHLABS_URL" in str(caught.value)) == (status == 404)


def test_certificates_are_verified_and_tls_has_the_same_deadline(tmp_path, monkeypatch):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        f"-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    peer = Peer(context)
    with pytest.raises(sdk.ConnectionFailed, match="certificate is not valid"):
        sdk.Client(peer.url, KEY).vendors()
    assert not peer.seen
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    peer.script = [Reply({"items": []}), Reply({"items": []}, drip=0.05)]
    client = sdk.Client(peer.url, KEY, timeout=0.5)
    assert client.vendors() == []
    with pytest.raises(sdk.ConnectionFailed, match="takes too long"):
        client.vendors()
    peer.stop()


def test_a_proxy_of_the_environment_is_used_but_for_this_machine(peer, monkeypatch):
    monkeypatch.setenv("http_proxy", peer.url)
    monkeypatch.setenv("no_proxy", "127.0.0.2")
    peer.script = [Reply({"items": []})]
    assert sdk.Client("http://service.example", KEY).vendors() == []
    assert peer.seen[0].path == "http://service.example/vendors"
    with pytest.raises(sdk.ConnectionFailed):
        sdk.Client("http://127.0.0.1:9", KEY, timeout=0.1).vendors()
    with pytest.raises(sdk.ConnectionFailed):
        sdk.Client("http://127.0.0.2:9", KEY, timeout=0.1).vendors()
    assert len(peer.seen) == 1


def test_redirects_are_not_followed(client, peer):
    other = Peer()
    peer.script = [Reply(status=307, headers={"Location": f"{other.url}/jobs"})]
    with pytest.raises(sdk.UnexpectedAnswer, match="redirects to"):
        client.submit(vendor="acme", name="John Doe")
    other.stop()
    assert not other.seen


def test_the_pages_of_a_list_come_from_the_same_host(client, peer):
    def page(number, following):
        return Reply({"items": [{"request_id": number, "status": "failed"}], "next": following})

    peer.script = [page("1", "http://evil.example/jobs?cursor=a%2Bb&limit=9"), page("2", None)]
    assert [job.id for job in client.jobs(status="failed")] == ["1", "2"]
    assert [seen.path for seen in peer.seen] == [
        "/jobs?status=failed&limit=100",
        "/jobs?cursor=a%2Bb&limit=9",
    ]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>", headers={"Content-Type": "text/html"}),
        Reply([]),
        Reply({"request_id": 5, "status": "queued"}),
        Reply({"request_id": "job-1", "status": "queued", "created_at": "yesterday"}),
        Reply(b"[" * 100_000),
        Reply(b" " * 2000),
    ],
    ids=["html", "list", "id", "time", "nested", "long"],
)
def test_answers_that_are_none_of_the_service(client, peer, reply, monkeypatch):
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1000 if reply.body == b" " * 2000 else 10**6)
    peer.script = [reply]
    with pytest.raises(sdk.UnexpectedAnswer):
        client.get("job-1")


@pytest.mark.parametrize(
    "reply", [Reply({"a": "b" * 100}, drip=0.05), Reply(headers={"X": "y" * 100}, drip=0.05)]
)
def test_a_call_ends_by_its_deadline_whatever_the_peer_does(client, peer, reply):
    client.timeout = 0.5
    peer.script = [reply]
    began = time.monotonic()
    with pytest.raises(sdk.ConnectionFailed, match="takes too long"):
        client.get("job-1")
    assert time.monotonic() - began < 1.5


def test_the_api_key_is_never_shown(client, peer, caplog):
    caplog.set_level(logging.DEBUG)
    peer.script = [CUT]
    client.timeout = 0.7
    with pytest.raises(sdk.ConnectionFailed) as caught:
        client.get("job-1")
    shown = f"{client!r} {caught.value!r} {caught.value} {caplog.text}"
    assert caplog.text
    assert KEY[4:] not in shown
    assert not re.search("Person|John", shown)


def test_waiting_asks_with_prefer_and_else_keeps_to_retry_after(client, peer, monkeypatch):
    slept = []
    monkeypatch.setattr("enrichlabs_client.calls.sleep", slept.append)
    open_job = {"request_id": "job-1", "status": "processing"}
    done = {**open_job, "status": "complete", "result": {"a": 1}}
    peer.script = [Reply(open_job, headers={"Retry-After": "9"}), Reply(done)]
    assert client.wait("job-1").result == {"a": 1}
    assert [seen.headers["Prefer"] for seen in peer.seen] == ["wait=30"] * 2
    assert slept == [9.0]


def test_waiting_has_an_end(client, peer):
    peer.script = [Reply({"request_id": "job-1", "status": "queued"})]
    with pytest.raises(sdk.WaitTimedOut, match=r"not final after 0\.1 s"):
        client.wait("job-1", timeout=0.1)
    assert client.get("job-1", wait=0.1).status == "queued"
