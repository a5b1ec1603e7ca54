import pytest
from django.utils import timezone

from jobs.tests.transfer.old_rows import DAY, id_at


@pytest.fixture
def make_ended(make_job):
    """Return a function that makes a job that ended some days ago."""

    def make(status="complete", days=40.0, **fields):
        at = timezone.now() - days * DAY
        defaults = {"id": id_at(at), "status": status, "attempt": 1, "finished_at": at}
        return make_job(**{**defaults, **fields})

    return make
