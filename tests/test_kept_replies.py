"""A failed attempt keeps the vendor's response; a successful one keeps nothing of it."""

import json

import pytest

from harness.vendor.server import Server, answering, reply
from jobs.models import Attempt, Job

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Request-Id: a1\r\n\r\n"
REFUSED = json.dumps({"error": "No key sk-secret", "ssn": "123", "text": "\ud800"}).encode()


@pytest.fixture
def attempts(make_vendor, submit, start_worker, transactional_db):
    """Return a function that runs a job against a vendor with these replies. It returns the
    attempts.
    """
    servers = []

    def attempts(*replies, **fields):
        servers.append(Server(answering(*replies)))
        make_vendor(url=servers[-1].url, api_key_env="VENDOR_KEPT_REPLIES_KEY", **fields)
        submit()
        worker = start_worker("--drain", VENDOR_KEPT_REPLIES_KEY="sk-secret")
        assert worker.end(60) == 0
        assert "No key" not in worker.output
        assert "sk-secret" not in worker.output
        return list(Attempt.objects.order_by("number"))

    yield attempts
    for server in servers:
        server.stop()


def test_each_failed_attempt_keeps_the_response(attempts):
    first = reply("500 Oops", REFUSED, X_Request_Id="r1", Set_Cookie="a=b")
    failed, done = attempts(first, reply(body=b"{}"))
    assert failed.reply == {
        "status": 500,
        "headers": {"Content-Length": str(len(REFUSED)), "X-Request-Id": "r1"},
        "body": '{"error": "No key ***", "text": "\ufffd\ufffd\ufffd"}',
    }
    assert (failed.outcome, done.outcome, done.reply) == ("vendor_error", "found", None)


@pytest.mark.parametrize(
    ("data", "code", "kept"),
    [
        (reply("422 No", b"<p>sk-secret</p>"), "invalid_input", (422, "<p>***</p>")),
        (reply(body=b"[1]"), "bad_reply", (200, "[1]")),
        (reply(body=b"x" * 2_000_000), "bad_reply", (200, "x" * 4096)),
        (reply(body=b"not gzip", Content_Encoding="gzip"), "bad_reply", (200, "")),
        (CHUNKED + b"5\r\nhello\r\nzz\r\n", "bad_reply", (200, "hello")),
        (b"SSH-2.0\r\n", "bad_reply", None),
    ],
)
def test_last_attempt_keeps_the_response_too(data, code, kept, attempts):
    [attempt] = attempts(data, max_attempts=1)
    assert attempt.outcome == code
    assert Job.objects.get().error_code == code
    assert (attempt.reply and (attempt.reply["status"], attempt.reply["body"])) == kept
