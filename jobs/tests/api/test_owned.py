"""The API asks for jobs and batches by their client only."""

import re
from pathlib import Path

import pytest

from jobs import api
from jobs.models import Batch, Job
from jobs.storage.lookup import Lookup

FOLDER = Path(api.__file__).parent
# Everything that reaches all clients' jobs or batches.
UNBOUND = re.compile(
    r"(Job|Batch)\s*\.\s*(objects|_default_manager|_base_manager)|get_model|bulk_writes\.update"
)
FILES = sorted(FOLDER.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_no_module_of_the_api_asks_for_rows_without_a_client(file):
    assert not UNBOUND.search(file.read_text())


def test_the_api_has_modules():
    assert {"views.py", "pagination.py", "idempotency.py"} <= {file.name for file in FILES}


@pytest.mark.parametrize("model", [Job, Batch])
def test_rows_can_not_be_asked_for_without_a_client(model):
    for ask in (
        lambda: model.owned.all(),
        lambda: model.owned.filter(pk="x"),
        lambda: model.owned.get(pk="x"),
        lambda: model.owned.count(),
    ):
        with pytest.raises(TypeError, match="Name the client"):
            ask()
    with pytest.raises(TypeError):
        model.owned.by()


def test_a_lookup_needs_an_owner():
    with pytest.raises(TypeError):
        Lookup(Job, "status")
    with pytest.raises(TypeError):
        Lookup(Job, "status", owner="client").find("x")
