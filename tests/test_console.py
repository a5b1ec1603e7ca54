"""What the console shows when a worker is frozen or a vendor is down."""

import re
import signal
from collections.abc import Callable

import pytest
from django.test import Client

from harness.vendor.scripted import Answer, VendorServer
from harness.waiting import wait_for
from jobs.models import Job
from jobs.tests.console import sign_in_as_superuser, text
from tests.conftest import WorkerProcess, wait_until_final

pytestmark = pytest.mark.django_db(transaction=True)


def shows(browser: Client, path: str, pattern: str) -> Callable[[], object]:
    return lambda: re.search(pattern, text(browser.get(path)))


def test_the_console_reports_a_frozen_worker_until_it_continues(
    start_worker: Callable[..., WorkerProcess],
    submit: Callable[..., list[Job]],
    make_vendor: Callable[..., object],
) -> None:
    make_vendor("acme")
    worker, browser = start_worker(), sign_in_as_superuser()
    wait_for(
        lambda: "No worker" not in text(browser.get("/admin/")), "the console to see the worker"
    )
    worker.send(signal.SIGSTOP)
    submit(2)
    frozen = r"No worker is alive: the last one has been silent for \d+ s\. .* 2 jobs wait\."
    wait_for(shows(browser, "/admin/", frozen), "the console to miss the worker")
    worker.send(signal.SIGCONT)
    wait_for(
        lambda: "No worker" not in text(browser.get("/admin/")),
        "the console to see the worker again",
    )


def test_the_console_reports_a_vendor_that_is_down_until_it_recovers(
    start_worker: Callable[..., WorkerProcess],
    submit: Callable[..., list[Job]],
    make_vendor: Callable[..., object],
    vendor_server: VendorServer,
    client: Client,
) -> None:
    make_vendor("acme", url=vendor_server.url, max_attempts=2)
    healthy = vendor_server.answer
    vendor_server.answer = lambda arrival: Answer(503)
    [job, *_], browser = submit(3), sign_in_as_superuser()
    start_worker()
    down = r"down \(vendor_error, since \d{4}-.* UTC\): its breaker is open"
    for path in ("/admin/", "/admin/vendors/vendor/"):
        is_down = shows(browser, path, r"acme (\w+ )?breaker open")
        wait_for(is_down, f"{path} to say that the vendor is down")
    page = f"/admin/jobs/job/{job.pk}/change/"
    wait_for(
        shows(browser, page, f"The vendor is {down}"),
        "the job to say what it waits for",
    )
    assert 'enrichlabs_breaker_open{vendor="acme"} 1.0' in client.get("/metrics").content.decode()
    vendor_server.answer = healthy
    wait_until_final()
    wait_for(
        lambda: "breaker open" not in text(browser.get("/admin/")),
        "the console to say that the vendor is back",
    )
    assert 'enrichlabs_breaker_open{vendor="acme"} 0.0' in client.get("/metrics").content.decode()
