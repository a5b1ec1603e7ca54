"""The list of callbacks shows what came in and what became of it."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Delivery
from jobs.tests.console import listed, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
DELIVERIES = "/admin/jobs/delivery/"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def make_delivery(make_job):
    def make(**fields):
        number = Delivery.objects.count()
        given = {
            "vendor": "acme",
            "body": {"name": "Jane Roe"},
            "body_bytes": 20,
            "received_at": NOON + timedelta(seconds=number),
        }
        return Delivery.objects.create(key=str(number), **{"job": make_job().pk, **given, **fields})

    return make


def test_the_newest_comes_first(browser, make_delivery):
    ids = [make_delivery(verdict="late").pk for _ in range(3)][::-1]
    assert listed(browser.get(DELIVERIES)) == listed(browser.get(DELIVERIES, {"verdict": "late"})) == ids


@pytest.mark.parametrize("verdict", ["applied", "late", "unmatched", "refused", ""])
def test_deliveries_are_found_by_their_verdict(browser, make_delivery, verdict):
    for other in ("applied", "late", "unmatched", "refused", ""):
        make_delivery(verdict=other)
    found = browser.get(DELIVERIES, {"verdict": verdict or "none"})
    assert [delivery.verdict for delivery in found.context["cl"].result_list] == [verdict]
    assert (verdict or "not yet applied") in text(found)


def test_deliveries_are_found_by_vendor_and_by_job(browser, make_delivery, make_vendor):
    make_vendor("globex")
    make_delivery()
    wanted = make_delivery(vendor="globex")
    assert listed(browser.get(DELIVERIES, {"vendor": "globex"})) == [wanted.pk]
    assert listed(browser.get(DELIVERIES, {"q": f" {wanted.job.upper()} "})) == [wanted.pk]


def test_a_delivery_shows_its_body_and_can_not_be_edited(browser, make_delivery):
    delivery = make_delivery(body={"name": "<b>Jane Roe</b>"}, verdict="late")
    told = text(browser.get(f"{DELIVERIES}{delivery.pk}/change/"))
    assert '{ "name": "<b>Jane Roe</b>" }' in told
    assert browser.post(f"{DELIVERIES}{delivery.pk}/change/", {}).status_code == 403
