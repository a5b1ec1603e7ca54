"""Batches on their way to the service, and results on their way back."""

import json
import time

import enrichlabs_client as sdk
import pytest
from enrichlabs_client import uploads
from enrichlabs_client.http import transport
from scripted_peer import CUT, Reply

POSTED = {"batch_id": "b", "state": "running", "received": 2, "accepted": 1, "refused": 1}
REFUSAL = {"index": 1, "status": 400, "code": "blank", "detail": "Sentence.", "pointer": "/name"}
ACCEPTED = Reply({**POSTED, "refusals": [REFUSAL]}, 202)


def test_uploads_come_in_parts_that_are_sent_again_as_they_are(client, peer, pauses, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_LINES", 2)
    full = Reply({"code": "queue_full", "detail": "Full."}, 429, {"Retry-After": "3"})
    peer.script = [full, ACCEPTED, CUT, ACCEPTED]
    jobs = ({"name": f"Jürgen {n}"} for n in range(3))
    first, second = client.submit_many(jobs, vendor="acme", options={"expires_in": 9}, key="k")
    assert first.refusals == (sdk.Refusal(1, 400, "blank", "Sentence.", "/name"),)
    keys = [seen.headers["Idempotency-Key"] for seen in peer.seen]
    assert keys == ['"k.part-1"'] * 2 + ['"k.part-2"'] * 2
    assert peer.seen[0].body == peer.seen[1].body
    assert b"".join(peer.seen[n].body for n in (1, 3)).decode().splitlines() == [
        f'{{"name":"Jürgen {n}"}}' for n in range(3)
    ]
    assert peer.seen[0].path == "/batches?vendor=acme&options=%7B%22expires_in%22%3A9%7D"
    assert pauses[0] == 3.0
    assert second.batch_id == "b"


def refusal(code, status, index=0):
    return {"index": index, "status": status, "code": code, "detail": "S.", "pointer": None}


REUSED = [refusal("idempotency_key_reused", 422), refusal("batch_sealed", 409, 1)]


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply({**POSTED, "refused": 2, "refusals": REUSED}, 202), "jobs: 2 of the 2 jobs of"),
        (Reply({**POSTED, "refused": 3, "refusals": REUSED}, 202), "jobs: at least 2 of the 2"),
        (Reply({"code": "idempotency_key_reused", "detail": "S."}, 422), "other jobs or another"),
        (Reply({"code": "batch_sealed", "detail": "S."}, 409), "other jobs or another"),
    ],
)
def test_a_key_that_was_used_for_other_jobs_is_a_conflict(client, peer, reply, sentence):
    peer.script = [reply]
    with pytest.raises(sdk.ConflictError) as caught:
        client.submit_many([{"name": "J"}, {"name": "K"}], key="monday")
    assert str(caught.value).startswith("The key 'monday' was used before")
    assert sentence in str(caught.value)
    assert "A key is for one set of jobs" in str(caught.value)
    assert caught.value.code == ("batch_sealed" if reply.status == 409 else REUSED[0]["code"])


def test_a_part_also_ends_at_a_number_of_bytes(client, peer, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 30)
    peer.script = [ACCEPTED]
    assert len(client.submit_many({"name": "x" * 10} for _ in range(4))) == 4
    assert len(client.submit_many([])) == 0


def test_a_refusal_is_heard_although_the_body_was_not_read(client, peer):
    peer.script = [Reply({"code": "unauthorized", "detail": "Key?"}, 401, reads=False)]
    with pytest.raises(sdk.AuthenticationError):
        client.submit_many({"name": "x"} for _ in range(10))


@pytest.mark.parametrize("job", [{"a": object()}, {"a": float("nan")}, "two\nlines", "\ud800"])
def test_what_json_cannot_hold_is_named_by_its_number(client, job):
    with pytest.raises(ValueError, match=r"[Jj]ob 1 "):
        client.submit_many([{"name": "John Doe"}, job])


def line(index, **members):
    return json.dumps({"index": index, "request_id": "j", "status": "complete", **members}) + "\n"


LINES = [line(n, result={"n": n}) for n in range(4)]
BATCH = Reply({"batch_id": "b", "state": "finished", "received": 4, "counts": {"complete": 4}})
WHOLE = Reply("".join(LINES).encode())


@pytest.mark.parametrize(
    "broken",
    [
        Reply(WHOLE.body, cut_at=len(LINES[0]) * 2 + 5),
        Reply(WHOLE.body, cut_at=len(LINES[0]) * 2),
        Reply("".join(LINES[:2]).encode(), length=False),
        Reply(WHOLE.body[: len(LINES[0]) + 20], length=False),
        Reply(b"", length=False),
        CUT,
        Reply({"code": "store_unavailable", "detail": "Later."}, 503),
    ],
    ids=["within a line", "after a line", "closed", "closed in a line", "empty", "cut", "503"],
)
def test_an_interrupted_download_goes_on_and_repeats_nothing(client, peer, pauses, broken):
    peer.script = [BATCH, broken, broken, WHOLE]
    assert [result.result for result in client.results("b")] == [{"n": n} for n in range(4)]
    assert len(peer.seen) == 4


def test_a_download_that_never_gets_further_ends(client, peer, pauses):
    peer.script = [BATCH, CUT]
    with pytest.raises(sdk.ConnectionFailed):
        list(client.results("b", timeout=0.5))


def test_lines_that_are_no_results_end_it(client, peer, monkeypatch):
    for body in (b"{}\n", b"oops\n", line(0, status=None).encode(), b"[]\n"):
        peer.script = [BATCH, Reply(body)]
        with pytest.raises(sdk.UnexpectedAnswer):
            list(client.results("b"))
    monkeypatch.setattr("enrichlabs_client.results.MAX_LINE_BYTES", 10)
    peer.script = [BATCH, Reply(b"x" * 200_000)]
    with pytest.raises(sdk.UnexpectedAnswer, match="exceeds 10 bytes"):
        list(client.results("b"))


def test_the_time_for_a_long_line_grows_with_its_length(client, peer):
    megabytes = 24
    long = line(0, result="x" * (megabytes * 2**20)).encode()
    peer.script = [Reply({**BATCH.body, "received": 1}), Reply(long)]
    began = time.process_time()
    assert len(next(client.results("b")).result) == megabytes * 2**20
    assert time.process_time() - began < 0.06 * megabytes  # copied for each block, it takes longer


def test_numbers_of_results_keep_their_digits(client, peer):
    exact = b'{"index":0,"status":"complete","result": {"a" : 1234567890123456.7890}}\n'
    peer.script = [Reply({**BATCH.body, "received": 1}), Reply(exact)] * 2
    (result,) = client.results("b", fields=["a", "b.c"])
    assert result.result_text == '{"a" : 1234567890123456.7890}'
    assert peer.seen[-1].path == "/batches/b/results?fields=a%2Cb.c"
    list(client.results("b", fields="name"))
    assert peer.seen[-1].path == "/batches/b/results?fields=name"


def test_other_calls_between_the_results_do_not_disturb_them(client, peer, monkeypatch):
    monkeypatch.setattr(transport, "BLOCK_BYTES", 1000)
    long = "".join(line(n, padding="x" * 2**20) for n in range(4))  # no buffer holds it
    peer.script = [BATCH, Reply(long.encode()), BATCH]
    results = client.results("b")
    assert next(results).index == 0
    client.timeout = 0.01
    with pytest.raises(sdk.EnrichLabsError):
        client.vendors()
    assert [result.index for result in results] == [1, 2, 3]
