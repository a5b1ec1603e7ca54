"""The page of a job shows the vendor's replies to failed calls, and why callbacks were refused."""

import re
import tracemalloc

import pytest
from django.utils import timezone

from jobs.models import Attempt, Callback
from jobs.tests.console import sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db


def page(browser, job):
    return browser.get(f"/admin/jobs/job/{job.pk}/change/")


def show(browser, job):
    """Ask for the personal data."""
    return browser.post(f"/admin/jobs/job/{job.pk}/show/")


@pytest.fixture
def failed(make_vendor, make_job):
    make_vendor()
    return make_job(status="failed", attempt=1, finished_at=timezone.now())


def make_attempt(job, **fields):
    given = {
        "number": 1,
        "worker": "w",
        "outcome": "vendor_rejected",
        "message": "It answered 422.",
    }
    times = {"started_at": timezone.now(), "ended_at": timezone.now()}
    return Attempt.objects.create(job=job.pk, vendor="acme", run=1, **{**given, **times, **fields})


def make_callback(job, **fields):
    given = {
        "vendor": "acme",
        "body_bytes": 512,
        "received_at": timezone.now(),
        "verdict": "refused",
    }
    return Callback.objects.create(
        key=str(Callback.objects.count()), job=job.pk, **{**given, **fields}
    )


REPLY = {
    "status": 422,
    "headers": {"content-type": "application/json", "x-request-id": "<b>17</b>"},
    "body": '{"e": "<b>no age</b>"}',
}


def test_the_body_of_a_reply_is_shown_on_request(failed):
    make_attempt(failed, reply=REPLY)
    browser = sign_in_as_superuser()
    answered = (
        r"It answered 422. Waited \d+ ms. The vendor answered 422 content-type: application/json "
        "x-request-id: <b>17</b>"
    )
    hidden, shown = page(browser, failed), show(browser, failed)
    for response in (hidden, shown):
        assert re.search(answered, text(response))
        assert "<b>17" not in response.content.decode()
    assert "<b>no age" not in shown.content.decode()
    assert "Its body is hidden: it may hold personal data." in text(hidden)
    assert "no age" not in text(hidden)
    assert '{"e": "<b>no age</b>"}' in text(shown)


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"status": None, "headers": None, "body": None},
        {"status": 500, "body": ""},
        {"status": [1], "headers": ["x"], "body": {"a": [1]}},
        {
            "status": 500,
            "headers": {f"h{n}": "\ud800" * 900 for n in range(90)},
            "body": "\ud800x" * 9_000,
        },
        "text",
        [1],
        None,
    ],
    ids=range(8),
)
def test_a_reply_of_any_shape_is_shown_and_truncated(failed, reply):
    make_attempt(failed, reply=reply)
    response = show(sign_in_as_superuser(), failed)
    assert response.status_code == 200
    assert len(response.content) < 60_000


def test_polls_and_attempts_are_labelled(failed):
    make_attempt(failed, kind="poll", number=3)
    make_attempt(failed, kind="call", number=2)
    page_text = text(page(sign_in_as_superuser(), failed))
    assert "Poll of attempt 3 vendor_rejected" in page_text
    assert "Attempt 2 vendor_rejected" in page_text


def test_refused_callbacks_show_reason_size_and_count(failed):
    make_callback(failed, reason="signature_wrong", times_received=3)
    make_callback(failed, verdict="unreadable", reason="The adapter can't read it (KeyError).")
    page_text = text(page(sign_in("view_job"), failed))
    assert "Callback refused acme signature_wrong: 512 bytes, received 3 times" in page_text
    assert "Callback unreadable acme The adapter can't read it (KeyError): 512 bytes" in page_text


def test_the_page_of_a_refused_callback_shows_the_reason(failed):
    callback = make_callback(failed, reason="signature_wrong", times_received=3)
    page_text = text(sign_in("view_callback").get(f"/admin/jobs/callback/{callback.pk}/change/"))
    for part in ("refused", "Reason: signature_wrong", "Times received 3", "Size 512 bytes"):
        assert part in page_text


def nested():
    value = [0] * 500_000
    for _ in range(97):
        value = [value]
    return {"a": value}


HUGE = {
    "nested": nested,
    "long text": lambda: {"text": "\u0001é" * 250_000},
    "wide object": lambda: {f"field {n}": n for n in range(60_000)},
    "text in depth": lambda: {"a": [[["x" * 900_000]]]},
}


def test_numbers_are_shown_with_all_their_digits():
    from jobs.admin.formats import pretty
    from vendors.payloads import exact

    assert "1234567890123456.789" in pretty(exact.read('{"price": 1234567890123456.789}'))


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE.keys())
def test_a_huge_value_is_written_no_further_than_shown(value):
    from jobs.admin.formats import MAX_CHARACTERS, pretty

    value = value()
    tracemalloc.start()
    shown = pretty(value)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
    assert len(shown) < 7 * MAX_CHARACTERS  # some characters are escaped in HTML
    assert "truncated" in shown


@pytest.mark.parametrize("column", ["input", "result"])
def test_the_page_of_a_job_with_huge_values_is_small(failed, column):
    type(failed).objects.filter(pk=failed.pk).update(**{column: nested()})
    response = show(sign_in_as_superuser(), failed)
    assert len(response.content) < 100_000
    assert "truncated: only the first 20,000 characters are shown." in text(response)


def test_the_page_of_a_callback_with_a_huge_body_is_small(failed):
    callback = make_callback(failed, body=nested(), verdict="applied")
    response = sign_in_as_superuser().post(f"/admin/jobs/callback/{callback.pk}/show/")
    assert len(response.content) < 100_000
    assert "truncated" in text(response)
