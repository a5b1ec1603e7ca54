"""Which answers pause the key that a vendor was called with, and when its vendors are paused."""

from datetime import timedelta

import pytest

from jobs.models import Job, Stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, UNUSABLE, key_pause
from jobs.queue.redis import commands
from jobs.queue.stream import Entry
from jobs.recovery import unusable
from jobs.recovery.key_pauses import pause_or_resume_users
from jobs.worker import trial
from jobs.worker.execution import Execution
from jobs.worker.health import Health
from vendors import pauses
from vendors.base import Done, Reply, VendorError
from vendors.catalogue import catalogue
from vendors.credentials.grants import NoTokenIssuedError
from vendors.models import Credential, CredentialKey, Vendor
from vendors.pauses import keys

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

FIRST, SECOND, OLD = "VENDOR_KEY_1", "VENDOR_KEY_2", "VENDOR_KEY_0"
URL = "GET http://127.0.0.1:9/"
MINUTE = timedelta(minutes=1)
POOL = {"header": "X-Key", "keys_env": [FIRST, SECOND], "retired_env": [OLD]}


@pytest.fixture
def use(make_vendor, monkeypatch):
    """Return a function that makes two vendors which share a credential."""
    for name in (FIRST, SECOND, OLD):
        monkeypatch.setenv(name, "k3y")

    def make(definition=POOL):
        Credential.objects.create(slug="pdl", definition=definition)
        for slug in ("pdl", "bulk"):
            make_vendor(slug, adapter="http", url=URL, definition={"credential": "pdl"})

    return make


def error(code, wait=None, status=None):
    reply = Reply(status, {}, b"") if status else None
    return VendorError(code, "It went wrong.", retry_after=wait, reply=reply)


def report(*answers, key=FIRST, age=timedelta(0), poll=None):
    """Report answers to calls of the vendor pdl that started so long ago."""
    vendor, executions = catalogue.get("pdl"), []
    for number, answer in enumerate(answers):
        job = Job(pk=f"{key}-{number}", vendor="pdl", started_at=redis_clock.now() - age)
        entry = Entry("pdl", Stream.JOBS, f"{number}-1", job.pk, "", credential=key)
        executions.append(Execution(vendor, entry, job, charged_at=0.0, poll=poll))
        executions[-1].answer = answer
    Health().report(executions)


def calls_with():
    pool = catalogue.get("pdl").credential.pool(redis_clock.now())
    return [key.name for key in pool if key.calls]


def paused_vendors():
    now = redis_clock.now()
    return {vendor.slug: vendor for vendor in Vendor.objects.all() if vendor.is_paused(now)}


@pytest.mark.parametrize(
    ("answers", "seconds", "reason"),
    [
        ([error("no_credits")], None, pauses.UNPAID),
        ([error("no_credits", MINUTE)], 60, pauses.UNPAID_UNTIL_RESET),
        ([error("auth")] * 3, None, pauses.DENIED),
        ([error("rate_limited", MINUTE)], 60, pauses.SLOW_DOWN),
    ],
)
def test_the_key_is_paused_and_the_others_go_on_until_none_is_left(use, answers, seconds, reason):
    use()
    report(*answers)
    assert commands().pttl(key_pause("pdl", FIRST)) > 0
    assert calls_with() == [SECOND]
    assert paused_vendors() == {}
    row = CredentialKey.objects.get()
    assert (row.name, row.paused, row.pause_reason) == (FIRST, seconds is None, reason)
    report(error("no_credits", 9 * MINUTE), key=SECOND)
    assert calls_with() == []
    assert {*paused_vendors()} == {"pdl", "bulk"}
    vendor = paused_vendors()["bulk"]
    assert not vendor.paused  # but until the first key may be used again
    wait = vendor.paused_until - vendor.paused_at
    assert abs(wait.total_seconds() - (seconds or 540)) < 5
    shown = reason if seconds else pauses.UNPAID_UNTIL_RESET
    assert vendor.pause_reason == pauses.NONE_USABLE + shown


def test_answers_that_are_about_the_vendor_pause_the_vendor(use):
    use()
    report(error("vendor_error", MINUTE))
    assert [*paused_vendors()] == ["pdl"]
    assert calls_with() == [FIRST, SECOND]


def test_the_sweep_leaves_a_vendor_paused_that_has_asked_for_it_itself(use):
    use()
    report(error("rate_limited", MINUTE))
    report(error("vendor_error", 9 * MINUTE))
    assert calls_with() == [SECOND]
    pause_or_resume_users()
    keys.resume("pdl", FIRST, now=redis_clock.now())
    assert [*paused_vendors()] == ["pdl"]


@pytest.mark.sqlite
def test_the_pause_of_a_key_that_was_removed_is_not_looked_at(
    use, django_assert_num_queries, monkeypatch
):
    monkeypatch.setattr("vendors.catalogue.MAX_AGE_SECONDS", 3600)
    use({"bearer_env": FIRST})
    keys.pause("pdl", "VENDOR_REMOVED", pauses.DENIED)
    catalogue.all()
    with django_assert_num_queries(0):
        pause_or_resume_users()


def test_a_vendor_is_resumed_whose_only_key_is_replaced(use):
    use({"bearer_env": FIRST})
    report(error("no_credits"))
    assert {*paused_vendors()} == {"pdl", "bulk"}
    Credential.objects.update(definition={"bearer_env": SECOND})
    catalogue.forget()
    pause_or_resume_users()
    assert paused_vendors() == {}


def test_the_only_key_pauses_its_vendors_for_its_own_reason(use):
    use({"bearer_env": FIRST})
    report(error("rate_limited", MINUTE))
    assert [vendor.pause_reason for vendor in paused_vendors().values()] == [pauses.SLOW_DOWN]
    pauses.resume("pdl", now=redis_clock.now())
    report(error("no_credits"))
    assert [each.pause_reason for each in paused_vendors().values()] == [pauses.UNPAID] * 2
    pauses.resume("bulk", now=redis_clock.now())
    assert paused_vendors() == {}
    assert calls_with() == [FIRST]


def test_denied_jobs_in_a_row_are_counted_for_each_key(use):
    use()
    report(error("auth"), error("auth"))
    report(error("auth"), error("auth"), key=SECOND)
    assert calls_with() == [FIRST, SECOND]
    report(Done({}), key=SECOND)
    report(error("auth"), error("auth"), key=SECOND)
    report(error("auth"), error("auth"), error("auth"))
    assert calls_with() == [SECOND]


@pytest.mark.parametrize(("status", "is_paused"), [(401, True), (403, False)])
def test_a_key_that_a_poll_says_is_not_valid_is_paused(use, status, is_paused):
    use()
    report(error("no_credits"))
    [first, *_] = catalogue.get("pdl").credential.pool(redis_clock.now())
    assert (first.calls, first.polls) == (False, True)
    report(error("auth", status=status), poll=object())
    [first, *_] = catalogue.get("pdl").credential.pool(redis_clock.now())
    assert (first.calls, first.polls) == (False, not is_paused)


@pytest.mark.parametrize(
    "resume", [pauses.resume, lambda _, now: keys.resume("pdl", FIRST, now=now)]
)
def test_resuming_a_vendor_or_a_key_resumes_the_vendors_that_lacked_one(use, resume):
    use()
    for key in (FIRST, SECOND):
        report(error("no_credits"), key=key)
    pauses.pause("other", "Budget.", "ann")
    assert {*paused_vendors()} == {"pdl", "bulk"}
    resume("bulk", now=redis_clock.now())
    assert paused_vendors() == {}
    assert FIRST in calls_with()
    report(error("no_credits"), age=MINUTE)
    assert FIRST in calls_with()  # the call was made before


def test_an_operators_pauses_stay(use):
    use()
    keys.pause("pdl", FIRST, "It leaked.", "ann")
    pauses.pause("bulk", "Budget.", "ann")
    report(error("no_credits"), key=SECOND)
    assert {each.pause_reason for each in paused_vendors().values()} == {
        "Budget.",
        pauses.NONE_USABLE + pauses.UNPAID,
    }
    assert pauses.resume_if_automatic("pdl", ["no_credits"], now=redis_clock.now())
    assert calls_with() == [SECOND]
    assert [*paused_vendors()] == ["bulk"]


def test_a_check_of_one_key_ends_the_pause_of_that_key(use):
    use()
    for key in (FIRST, SECOND):
        report(error("auth"), error("auth"), error("auth"), key=key)
    times = {"now": redis_clock.now()}
    assert not pauses.resume_if_automatic("pdl", ["no_credits"], key=SECOND, **times)
    assert pauses.resume_if_automatic("pdl", ["auth"], key=SECOND, **times)
    assert calls_with() == [SECOND]
    assert paused_vendors() == {}


def test_the_sweep_counts_keys_that_no_worker_has_as_out(use, monkeypatch):
    use()
    report(error("no_credits"))
    monkeypatch.delenv(SECOND)
    assert calls_with() == []
    why = unusable.faults(catalogue.all().values())
    commands().zadd(HEARTBEATS, {"w": redis_clock.now().timestamp() * 1000})
    commands().hset(UNUSABLE, "w", unusable.report(why, None))
    pause_or_resume_users()
    assert {each.pause_reason for each in paused_vendors().values()} == {
        pauses.NONE_USABLE + pauses.UNPAID
    }
    commands().hdel(UNUSABLE, "w")  # it was started again, with the other key
    pause_or_resume_users()
    assert paused_vendors() == {}


def test_the_log_asks_for_an_operator_only_if_one_is_needed(use, caplog):
    use()
    report(error("no_credits"))
    report(error("rate_limited", MINUTE), key=SECOND)
    lines = [(row.levelname, row.getMessage()) for row in caplog.records]
    assert lines[0][0] == "ERROR", "of the first key"
    assert lines[1][1].startswith(f"key {SECOND} of credential pdl is paused until ")
    for level, line in lines[1:]:
        assert (level, line[-len(pauses.SLOW_DOWN) :]) == ("WARNING", pauses.SLOW_DOWN)
    assert lines[2][1].split(" UTC: ")[1].startswith("no key of credential pdl is left. ")
    assert len(lines) == 4
    caplog.clear()
    keys.pause("pdl", SECOND, pauses.UNPAID)
    pause_or_resume_users()
    levels = {row.levelname for row in caplog.records}
    assert levels == {"ERROR"}
    assert "until an operator resumes it: no key of credential pdl is left." in caplog.text


def test_a_token_server_that_refuses_us_is_named(use):
    use({"header": "X-Key", "keys_env": [FIRST]})
    report(*[NoTokenIssuedError("auth", "It refused our credentials.")] * 3)
    assert paused_vendors()["pdl"].pause_reason == pauses.NOT_ISSUED
    assert pauses.resume_if_automatic("pdl", ["auth"], now=redis_clock.now())
    assert paused_vendors() == {}


@pytest.mark.sqlite
def test_a_call_by_hand_is_made_with_a_key_that_may_be_used_if_there_is_one(use, monkeypatch):
    made = []
    monkeypatch.setattr(
        "jobs.worker.trial._make", lambda _kind, _vendor, call, *_, **__: made.append(call)
    )
    use()
    for paused in (FIRST, SECOND):
        keys.pause("pdl", paused, pauses.UNPAID)
        trial.run(catalogue.get("pdl"), {})
    trial.check(catalogue.get("pdl"), FIRST)
    assert [call.access.key for call in made] == [SECOND, FIRST, FIRST]
