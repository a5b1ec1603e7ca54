"""The frame around every page of the console, and how it shows times and numbers."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.contrib.staticfiles import finders
from django.utils import timezone

from jobs.admin.page import reader, texts
from jobs.admin.page.navigation import PAGES
from jobs.tests.console import sign_in, sign_in_as_superuser, text

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]
NOON = datetime(2026, 6, 1, 12, 30, 5, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "path", ["", "jobs/job/", "auth/user/", "auth/user/add/", "password_change/"]
)
def test_every_page_has_the_navigation_and_nothing_inline(path, redis_client):
    page = sign_in_as_superuser().get(f"/admin/{path}").content.decode()
    for each in PAGES:
        assert f">{each.name}</a>" in page
    assert page.count('aria-current="page"') >= (path != "password_change/")
    assert not [part for part in page.split("<script")[1:] if "src=" not in part.split(">")[0]]
    assert not re.findall(r"""(?:src|href|action)=["']\w*:?//""", page)
    assert not re.findall(r"<style|\sstyle=|\son\w+=", page)


def test_the_page_of_each_link_is_marked():
    page = sign_in_as_superuser().get("/admin/auth/group/").content.decode()
    [current] = re.findall(r'<a href="([^"]+)" aria-current="page"', page)
    assert current == "/admin/auth/group/"


def test_the_navigation_lists_what_the_reader_may_see(redis_client):
    page = sign_in("view_job", "change_limit").get("/admin/").content.decode()
    navigation = page.partition('<nav id="nav"')[2].partition("</nav>")[0]
    names = re.findall(r">([^<>]+)</a></li>", navigation)
    assert names == ["Overview", "Jobs", "Errors", "Limits"]


def test_signing_in_has_no_navigation(client):
    page = client.get("/admin/login/")
    assert "Log in" in page.content.decode()
    assert "Overview" not in text(page)


def test_choices_of_the_reader_are_kept_in_cookies(redis_client):
    browser = sign_in("view_vendor")
    browser.cookies["console_theme"] = "dark"
    browser.cookies["console_zone"] = "Asia%2FKolkata"
    page = browser.get("/admin/").content.decode()
    assert 'data-theme="dark"' in page
    assert "IST" in page


@pytest.mark.parametrize("name", ["", "Nowhere", "../../etc/passwd", "\0", "x" * 9999])
def test_an_unknown_zone_is_utc(name):
    assert reader.zone({reader.ZONE_COOKIE: name}) is UTC
    assert reader.theme({reader.THEME_COOKIE: name}) == "auto"


def test_a_moment_says_its_zone_and_has_utc_in_its_title():
    berlin = ZoneInfo("Europe/Berlin")
    assert texts.moment(NOON, berlin) == (
        '<time datetime="2026-06-01T12:30:05Z" title="2026-06-01 12:30:05 UTC">'
        "2026-06-01 14:30:05 CEST</time>"
    )
    assert ">Jun 1, 14:30<" in texts.moment(NOON, berlin, "short")
    assert ">3 min ago<" in texts.ago(timezone.now() - timedelta(seconds=185))
    assert ">9999-12-31 23:30:00 UTC<" in texts.moment(LAST, berlin), "no year 10000"
    assert texts.moment(None, berlin) == texts.ago(None) == "–"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (texts.number(None), "–"),
        (texts.number(0), "0"),
        (texts.number(99_999), "99,999"),
        (texts.number(123_456), '<span title="123,456">123 k</span>'),
        (texts.number(1_240_512), '<span title="1,240,512">1.2 M</span>'),
        (texts.span(None), "–"),
        (texts.span(0.0421), "42 ms"),
        (texts.span(1.24), "1.2 s"),
        (texts.span(59), "59 s"),
        (texts.span(1090), "18 min"),
        (texts.span(8100), "2 h 15 min"),
        (texts.span(400_000), "4 d 15 h"),
        (texts.share(0.021), "2.1 %"),
    ],
)
def test_numbers_and_durations_are_short(shown, words):
    assert shown == words


@pytest.mark.parametrize("name", ["console.css", "django.css", "charts.css"])
def test_styles_load_nothing(name):
    style = Path(finders.find(f"console/{name}")).read_text()
    assert not re.findall(r"url\(|@import|expression\(", style)
