"""The campaign's vendor over real sockets: what each mood does, what it calls back, and what its ledger says of it."""

import json
import math
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from threading import Lock, Thread

import pytest

from chaos import ledger, plans
from chaos import vendor as module
from chaos.ledger import Answered, Arrival, Callback
from chaos.plans import EVERY_MOOD, MOODS, Plan, answer_of, error_of, may_fail_with, plan_of
from chaos.vendor import Call, Vendor
from tests.waiting import wait_for
from vendors.base import VendorError
from vendors.http import post_json
from webhooks import signatures

SEED = 7
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JOB, OTHER = "01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"


@pytest.fixture
def vendor(tmp_path):
    server = Vendor(0, SEED, ledger.Ledger(tmp_path / "ledger"), SECRET)
    server.path = tmp_path / "ledger"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Receiver(ThreadingHTTPServer):
    """Takes callbacks, and answers them with the statuses that it is given, the last one for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses, self.taken, self.lock = [200], [], Lock()
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, job=JOB, vendor="acme", attempt=3):
        return f"http://127.0.0.1:{self.server_port}/vendor-webhook/{vendor}/{job}?token=1.{attempt}.of-{job[-1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.taken.append((self.path, self.headers, body))
            status = self.server.statuses.pop(0) if len(self.server.statuses) > 1 else self.server.statuses[0]
        self.send_response(status)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def open_call(vendor, mood="", slug="acme", key=JOB, timeout_seconds=5, **given):
    """Send a call whose plan is plainly good, in a mood, and return the connection."""
    if mood:
        vendor.disturb(slug, mood, 60)
    connection = HTTPConnection("127.0.0.1", vendor.server_port, timeout=timeout_seconds)
    body = json.dumps({"name": "Job", "serial": serial_with(), **given})
    connection.request("POST", f"/{slug}", body, {"Idempotency-Key": key})
    return connection


def called(vendor, mood="", **given):
    """Return the status, headers and body of the answer."""
    connection = open_call(vendor, mood, **given)
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@cache
def serial_with(callback="normal", vendor="acme"):
    """Return the number of a job whose calls all go well, and whose callbacks come soon."""
    plain = (serial for serial in count(1) if (plan := plan_of(SEED, serial, vendor)).callback == callback and not plan.moods)
    return min(islice(plain, 10), key=lambda serial: plan_of(SEED, serial, vendor).callback_seconds)


def events(vendor, kind):
    return [event for event in ledger.read_ledger(vendor.path) if isinstance(event, kind)]


def called_back(vendor, posts):
    """Wait for so many posts of callbacks, and return them, by kind and status, as the ledger has them."""
    wait_for(lambda: len(events(vendor, Callback)) >= posts and vendor.postman.open == 0, f"{posts} posts of callbacks")
    return [(event.kind, event.status) for event in events(vendor, Callback)]


def test_a_good_answer_holds_the_one_right_answer(vendor):
    status, _, body = called(vendor)
    assert (status, json.loads(body)) == (200, {"name": "Job", "serial": serial_with(), "answer": answer_of(SEED, JOB)})
    assert answer_of(SEED, JOB) != answer_of(SEED, f"{JOB}:2") != answer_of(SEED + 1, f"{JOB}:2")


@pytest.mark.parametrize(("mood", "status"), module.STATUSES.items())
def test_each_refusal_has_its_status(vendor, mood, status):
    assert called(vendor, mood)[0] == status


def test_both_forms_of_retry_after(vendor):
    assert called(vendor, "429_seconds")[1]["Retry-After"] == "1"
    headers = called(vendor, "429_date")[1]
    wait = parsedate_to_datetime(headers["Retry-After"]) - parsedate_to_datetime(headers["Date"])
    assert 1 <= wait.total_seconds() <= 3


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("mood", sorted(EVERY_MOOD - {"slow"}))
def test_the_system_makes_of_each_mood_what_the_plans_say(vendor, receiver, mood, is_async):
    vendor.disturb("acme", mood, 60)
    given = {"name": "Job", "serial": serial_with(), **({"callback_url": receiver.url()} if is_async else {})}
    url, headers = f"http://127.0.0.1:{vendor.server_port}/acme", {"Idempotency-Key": JOB}
    timeout_seconds = 0.2 if mood in ("timeout", "hang", "drip") else 10
    try:
        reply = post_json(url, given, headers=headers, timeout_seconds=timeout_seconds, needs_body=not is_async)
        code = "" if is_async or reply.json_object()["answer"] == answer_of(SEED, JOB) else "wrong"
    except VendorError as error:
        code = error.code
    assert code == error_of(mood, is_async=is_async)


def test_strange_results_are_spelled_as_json(vendor):
    assert b"\\u0000" in called(vendor, "nul")[2]
    assert b"\\ud800" in called(vendor, "surrogate")[2]
    assert json.loads(called(vendor, "big_integer")[2])["big"] == 2**70
    assert b"[" * 500 in called(vendor, "deep")[2]
    assert math.isnan(json.loads(called(vendor, "nan")[2])["nan"])


def test_a_reset_comes_as_one_before_the_answer_or_after_half_of_it(vendor):
    with pytest.raises(ConnectionResetError):
        called(vendor, "reset")
    answer = open_call(vendor, "reset_midway").getresponse()
    half = answer.read1(int(answer.headers["Content-Length"]) // 2)
    assert half.startswith(b'{"name"')
    with pytest.raises(ConnectionResetError):
        answer.read()


def test_a_body_drips_or_has_no_end(vendor, monkeypatch):
    monkeypatch.setattr(module, "DRIP_SECONDS", 0.05)
    since, answer = time.monotonic(), open_call(vendor, "drip").getresponse()
    assert [answer.read1(100) for _ in range(4)] == [b"{", b'"', b"n", b"a"]
    assert time.monotonic() - since >= 0.15
    assert len(called(vendor, "endless")[2]) == module.ENDLESS_BYTES


@pytest.mark.parametrize("mood", ["timeout", "hang"])
def test_no_answer_comes(vendor, mood):
    with pytest.raises(TimeoutError):
        called(vendor, mood, timeout_seconds=0.2)
    vendor.stopped.set()
    [answered] = wait_for(lambda: events(vendor, Answered), "the end of it to be written down")
    assert (answered.status, answered.whole, answered.good) == (None, False, True)


def test_a_slow_answer_is_right(vendor):
    quickest = min(range(1, 1000), key=lambda serial: plan_of(SEED, serial, "acme").slow_seconds)
    since = time.monotonic()
    assert called(vendor, "slow", serial=quickest)[0] == 200
    assert time.monotonic() - since >= 0.5


def test_the_ledger_tells_what_came_and_how_it_was_answered(vendor, receiver):
    began = time.time()
    called(vendor, callback_url=receiver.url(attempt=12))
    called(vendor, "503")
    first, second = events(vendor, Arrival)
    assert first == Arrival(first.at, "acme", JOB, 1, serial_with(), "ok", 12)
    assert (second.number, second.mood, second.attempt) == (2, "503", None)
    assert began <= first.at <= second.at <= time.time()
    wait_for(lambda: len(events(vendor, Answered)) == 2, "both answers")
    assert [(one.status, one.whole, one.good) for one in events(vendor, Answered)] == [(202, True, True), (503, True, False)]


def test_a_line_that_is_cut_short_is_not_read(tmp_path):
    book, told = ledger.Ledger(tmp_path / "ledger"), Callback(1.5, "acme", JOB, 1, "genuine", "TimeoutError")
    book.write(told)
    with (tmp_path / "ledger").open("ab") as file:
        file.write(b'{"event": "arrival", "at": 1')
    assert list(ledger.read_ledger(tmp_path / "ledger")) == [told]


def test_a_callback_brings_the_result(vendor, receiver):
    status, _, body = called(vendor, callback_url=receiver.url())
    assert (status, json.loads(body)) == (202, {"accepted": True})
    assert called_back(vendor, 1) == [("genuine", 200)]
    [(path, _, body)] = receiver.taken
    assert path in receiver.url()
    assert json.loads(body)["answer"] == answer_of(SEED, JOB)


def test_no_callback_comes_for_work_that_was_not_done(vendor, receiver):
    for mood in sorted(plans.NO_WORK - {"reset"}):
        called(vendor, mood, callback_url=receiver.url())
    assert vendor.postman.open == 0
    called(vendor, "500_after_work", callback_url=receiver.url())
    assert called_back(vendor, 1) == [("genuine", 200)]


def test_a_callback_that_nobody_takes_is_posted_again(vendor, receiver, monkeypatch):
    assert sum(module.AGAIN_AFTER_SECONDS) >= 90
    monkeypatch.setattr(module, "AGAIN_AFTER_SECONDS", (0.01,) * 5)
    receiver.statuses = [503, 302, 401]
    called(vendor, callback_url=receiver.url())
    assert called_back(vendor, 3) == [("genuine", 503), ("genuine", 302), ("genuine", 401)]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        called(vendor, callback_url=f"http://127.0.0.1:{nobody.getsockname()[1]}/")
        assert called_back(vendor, 9)[3:] == [("genuine", "ConnectionRefusedError")] * 6


def test_an_early_callback_is_answered_before_the_call(vendor, receiver):
    status = called(vendor, serial=serial_with("early"), callback_url=receiver.url())[0]
    assert (status, len(receiver.taken)) == (202, 1)
    wait_for(lambda: events(vendor, Answered), "the answer to be written down")
    assert [type(event) for event in ledger.read_ledger(vendor.path)] == [Arrival, Callback, Answered]


@pytest.mark.parametrize(("callback", "posts"), [("duplicate", 3), ("replayed", 2)])
def test_a_callback_comes_several_times_the_same_to_the_letter(vendor, receiver, monkeypatch, callback, posts):
    monkeypatch.setattr(module, "REPLAYED_SECONDS", 0.1)
    monkeypatch.setattr(module, "SECOND_SECONDS", 0.1)
    serial = serial_with(callback, vendor="signed")
    called(vendor, slug="signed", serial=serial, callback_url=receiver.url(vendor="signed"))
    assert called_back(vendor, posts) == [("genuine", 200)] * posts
    assert len({(path, headers["webhook-signature"], body) for path, headers, body in receiver.taken}) == 1


def test_garbage_comes_before_the_genuine_callback(vendor, receiver):
    receiver.statuses = [400, 200]
    called(vendor, serial=serial_with("garbage"), callback_url=receiver.url())
    assert called_back(vendor, 2) == [("garbage", 400), ("genuine", 200)]
    assert [type(json.loads(body)) for _, _, body in receiver.taken] == [list, dict]


def test_forged_callbacks_come_with_a_genuine_one(vendor, receiver, monkeypatch):
    monkeypatch.setattr(module, "FORGED_SECONDS", 0.1)
    called(vendor, "503", slug="signed", key=OTHER, callback_url=receiver.url(OTHER, "signed"))
    vendor.disturb("signed", "", 0)
    called(vendor, slug="signed", serial=serial_with("forged", "signed"), callback_url=receiver.url(vendor="signed"))
    kinds = ("garbage_token", "no_token", "other_token", "other_url", "signature")
    assert sorted(called_back(vendor, 6)) == [*((f"forged_{kind}", 200) for kind in kinds), ("genuine", 200)]
    bare, other = (f"/vendor-webhook/signed/{job}" for job in (JOB, OTHER))
    asked = [(bare, ""), (bare, "1.1.garbage"), (bare, "1.3.of-2"), (other, "1.3.of-1"), (bare, "1.3.of-1")]
    forged = [path for path, _, body in receiver.taken if json.loads(body).get("forged")]
    assert sorted(path.removesuffix("?").partition("?token=")[::2] for path in forged) == sorted(asked)


def messages(vendor, callback, slug="acme"):
    """Return what is posted for a call with such a callback, with the seconds until then."""
    url = f"http://127.0.0.1:9/vendor-webhook/{slug}/{JOB}?token=1.1.abc"
    plan = Plan(("500_after_work",) if callback == "out_of_order" else (), callback)
    return vendor._pen.messages(Call(slug, JOB, 1, plan.mood_of(1, 1), plan, {"name": "Job"}, url))


def is_signed(message):
    try:
        return bool(signatures.verify([SECRET], message.headers, message.body, datetime.now(UTC)))
    except signatures.RefusedError:
        return False


def test_only_a_forged_signature_is_wrong(vendor):
    of = {message.kind: is_signed(message) for _, message in messages(vendor, "forged", "signed")}
    assert {kind for kind, signed in of.items() if not signed} == {"forged_signature"}
    assert not any(message.headers.get("webhook-id") for _, message in messages(vendor, "forged"))


def test_each_callback_comes_in_its_time(vendor):
    assert messages(vendor, "lost") == []
    [(late_seconds, _)], [(held_seconds, _)] = messages(vendor, "late"), messages(vendor, "out_of_order")
    # The next call comes within a second, and its callback within another.
    assert late_seconds > 15 > held_seconds > 2
    *forged, (seconds, genuine) = messages(vendor, "forged")
    assert ({seconds for seconds, _ in forged}, seconds, genuine.kind) == ({0.0}, 1.0, "genuine")


def test_a_mood_can_be_put_over_a_vendor_for_a_while(vendor):
    control = HTTPConnection("127.0.0.1", vendor.server_port)

    def put(mood, seconds):
        control.request("POST", "/control", json.dumps({"vendor": "acme", "mood": mood, "seconds": seconds}))
        answer = control.getresponse()
        return answer.status, answer.read().decode()

    assert put("denied", 60) == (200, "{}")
    assert [called(vendor)[0], called(vendor, slug="other")[0]] == [401, 200]
    put("503", 0.1)
    wait_for(lambda: called(vendor)[0] == 200, "the fault to be over")
    assert "There is no mood 'sad'" in put("sad", 60)[1]
    control.request("GET", "/control")
    assert json.load(control.getresponse()) == {"calls": vendor.calls, "callbacks_open": 0}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"name": "Job", "serial": "x"}', '{"name": "Job"'])
def test_what_is_no_call_is_refused_and_not_counted(vendor, body):
    connection = HTTPConnection("127.0.0.1", vendor.server_port)
    connection.request("POST", "/acme", body)
    assert (connection.getresponse().status, vendor.calls) == (400, 0)


def test_it_runs_as_a_process_until_it_is_told_to_end(tmp_path):
    arguments = ["--port=0", f"--seed={SEED}", f"--ledger={tmp_path / 'ledger'}"]
    process = subprocess.Popen([sys.executable, "-m", "chaos.vendor", *arguments], stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline().rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/acme", json.dumps({"name": "Job", "serial": serial_with()}), {"Idempotency-Key": JOB})
    assert json.load(connection.getresponse())["answer"] == answer_of(SEED, JOB)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_the_same_seed_makes_the_same_plans_and_four_of_five_are_plain():
    some = [plan_of(SEED, serial, "acme") for serial in range(8000)]
    assert some[:500] == [plan_of(SEED, serial, "acme") for serial in range(500)] != [plan_of(8, n, "acme") for n in range(500)]
    plain = sum((plan.moods, plan.callback, plan.client) == ((), "normal", "") for plan in some)
    assert 0.75 < plain / len(some) < 0.85
    assert {plan.moods[0] for plan in some if plan.moods} == {*MOODS, "500_after_work"}
    assert sum(bool({"429_seconds", "429_date"} & set(plan.moods)) for plan in some) < 0.005 * len(some)
    assert sum(sum(bool(error_of(mood, is_async=False)) for mood in plan.moods) > 2 for plan in some) < 0.005 * len(some)


def test_the_trouble_is_in_the_first_run_and_in_the_callback_of_the_first_work():
    plan = Plan(("500", "timeout"), "lost")
    assert [plan.mood_of(1, number) for number in (1, 2, 3)] == ["500", "timeout", "ok"]
    assert [plan.callback_of(1, number) for number in (1, 2, 3)] == ["normal", "lost", "normal"]
    assert (plan.mood_of(2, 1), plan.callback_of(2, 2)) == ("ok", "normal")
    assert (plans.run_of(JOB), plans.run_of(f"{JOB}:2")) == (1, 2)


@pytest.mark.parametrize(
    ("plan", "settings", "codes"),
    [
        (Plan(("500", "slow")), {}, set()),
        (Plan(("500", "refused")), {}, {"vendor_refused"}),
        (Plan(("500", "refused")), {"run": 2}, set()),
        (Plan(("500",) * 6), {}, {"vendor_error"}),
        (Plan(("429_date", *["500"] * 5)), {}, set()),
        (Plan(("500", "html")), {"max_attempts": 2}, {"bad_reply"}),
        (Plan(("reset",)), {"repeat_unknown": False}, {"outcome_unknown"}),
        (Plan((), "late"), {}, {"callback_overdue"}),
        (Plan((), "lost"), {"repeat_overdue": True}, set()),
        (Plan(("500",), "lost"), {"repeat_overdue": True, "max_attempts": 2}, {"callback_overdue"}),
    ],
)
def test_what_a_job_may_fail_with(plan, settings, codes):
    assert may_fail_with(plan, **settings) == codes
