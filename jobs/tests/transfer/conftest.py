from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.tests.rows import all_rows, delete_rows, make_rows
from jobs.tests.transfer.old_rows import DAY, id_at


@pytest.fixture
def make_ended(make_job):
    """Return a function that makes a job that ended some days ago."""

    def make(status="complete", days=40.0, **fields):
        at = timezone.now() - days * DAY
        defaults = {"id": id_at(at), "status": status, "attempt": 1, "finished_at": at}
        return make_job(**{**defaults, **fields})

    return make


@pytest.fixture
def path(tmp_path):
    """A finished export."""
    make_rows()
    path = tmp_path / "rows.jsonl"
    call_command("export", str(path), stdout=StringIO())
    return path


@pytest.fixture
def rows(path):
    """The exported rows. The store is empty afterwards."""
    rows = all_rows()
    delete_rows()
    return rows
