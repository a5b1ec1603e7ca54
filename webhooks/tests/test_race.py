"""Two callbacks at the same moment, each in a thread with a connection of its own."""

from threading import Barrier, Thread

import pytest
from django.db import connection

from jobs.models import Delivery, Job, Verdict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def race(transactional_db, make_vendor, make_job, post):
    def race(*bodies):
        make_vendor(adapter="vendors.base.Adapter")
        job = make_job(status="waiting", attempt=1)
        barrier, answers = Barrier(len(bodies)), []

        def send(body):
            barrier.wait()
            answers.append(post(job, body=body).json()["status"])
            connection.close()

        threads = [Thread(target=send, args=(body,)) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Job.objects.get(pk=job.pk), sorted(answers)

    return race


def test_of_two_racing_callbacks_exactly_one_is_applied(race):
    job, answers = race(b'{"name": "John"}', b'{"name": "Jane"}')
    assert answers == ["applied", "late"]
    assert Delivery.objects.get(verdict=Verdict.APPLIED).body == job.result


def test_a_callback_sent_twice_at_once_is_stored_once_and_applied_once(race):
    job, answers = race(*[b'{"name": "John"}'] * 4)
    assert answers == ["applied"] * 4
    delivery = Delivery.objects.get()
    assert (delivery.verdict, delivery.times_received, job.status) == (Verdict.APPLIED, 4, "complete")
