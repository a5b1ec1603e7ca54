"""After its wait, a request has time to look at the store."""

import pytest
from django.db import connection
from django.test import RequestFactory

from harness.waiting import wait_for
from jobs.api.waiting import Wait
from jobs.models import Job
from jobs.storage.store import STORE_ERRORS, patience

pytestmark = pytest.mark.django_db(transaction=True)


def is_refused_by_the_driver():
    try:
        Job.objects.count()
    except STORE_ERRORS:
        return True
    return False


def test_the_last_look_has_time_although_that_of_the_request_is_used_up(make_job):
    job = make_job()
    wait = Wait(RequestFactory().get("/"), 30, 0.0)
    with patience(0.0):
        if connection.vendor == "mongodb":
            wait_for(is_refused_by_the_driver, "the time to be used up")
        assert wait.look(lambda _: Job.objects.get()) == job
