"""check --deploy reports a MongoDB that may lose accepted jobs in a power cut or failover."""

from collections.abc import Callable, Iterator

import pytest
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from enrichlabs.checks import mongodb
from enrichlabs.config.stores import database
from harness.running import ROOT
from harness.stub_mongodb import StubMongoDB

MAJORITY = {"getdefaultrwconcern": {"defaultWriteConcern": {"w": "majority", "wtimeout": 0}}}
ONE = {"getdefaultrwconcern": {"defaultWriteConcern": {"w": 1, "wtimeout": 0}}}
NO_ANSWER: dict[str, object] = {}
STANDALONE, WEAK, NO_RETRIES = "enrichlabs.W014", "enrichlabs.W015", "enrichlabs.W016"


@pytest.fixture
def issues(
    monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[..., list[str]]]:
    """Return the ids of the issues of a server with these answers, at a URL with these options."""
    opened = []

    def issues(
        hello: dict[str, object], answers: dict[str, dict[str, object]], options: str
    ) -> list[str]:
        server = StubMongoDB(
            hello, buildinfo={"version": "8.0.0", "versionArray": [8, 0, 0, 0]}, **answers
        )
        url = f"mongodb://{server.address}/jobs?{options}"
        connection = ConnectionHandler({"default": {}, "checked": database(url, ROOT)})["checked"]
        opened.append((server, connection))
        monkeypatch.setattr(mongodb, "connection", connection)
        with django_db_blocker.unblock():
            return [str(issue.id) for issue in mongodb.check_server()]

    yield issues
    for server, connection in opened:
        connection.close_pool()
        server.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", [STANDALONE, WEAK]),
        ("w=1", [STANDALONE, WEAK]),
        ("w=majority", [STANDALONE, WEAK]),
        ("journal=true", [STANDALONE]),
    ],
)
def test_a_single_server_needs_the_journal(
    issues: Callable[..., list[str]], options: str, expected: list[str]
) -> None:
    assert issues({}, NO_ANSWER, options) == expected


@pytest.mark.parametrize(
    ("answers", "options", "expected"),
    [
        (MAJORITY, "", []),
        (ONE, "", [WEAK]),
        (NO_ANSWER, "", [WEAK]),
        (ONE, "w=majority", []),
        (NO_ANSWER, "w=majority", []),
        (MAJORITY, "w=1", [WEAK]),
        (MAJORITY, "w=1&journal=true", [WEAK]),
        (MAJORITY, "w=2", [WEAK]),
        (MAJORITY, "w=2&journal=true", []),
        (MAJORITY, "journal=false", [WEAK]),
        (MAJORITY, "w=twoDataCenters", []),
        (MAJORITY, "retryWrites=false", [NO_RETRIES]),
        (NO_ANSWER, "w=1&retryWrites=false", [WEAK, NO_RETRIES]),
    ],
)
def test_a_replica_set_needs_majority_writes(
    issues: Callable[..., list[str]], answers: dict[str, object], options: str, expected: list[str]
) -> None:
    members = {"setName": "rs", "hosts": ["a:1", "b:2", "c:3"]}
    assert issues(members, answers, f"{options}&directConnection=true".strip("&")) == expected


@pytest.mark.parametrize(("options", "expected"), [("", []), ("w=1", [WEAK])])
def test_a_sharded_cluster_needs_majority_writes(
    issues: Callable[..., list[str]], options: str, expected: list[str]
) -> None:
    assert issues({"msg": "isdbgrid"}, MAJORITY, options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("w=majority&readPreference=primary&readConcernLevel=majority", []),
        ("w=0", ["enrichlabs.E011"]),
        ("readPreference=secondaryPreferred", ["enrichlabs.E012"]),
        ("readConcernLevel=available", ["enrichlabs.E013"]),
        (
            "w=0&READPREFERENCE=nearest&readConcernLevel=snapshot",
            ["enrichlabs.E011", "enrichlabs.E012", "enrichlabs.E013"],
        ),
    ],
)
def test_unsafe_url_options_are_errors_that_quote_no_secret(
    options: str, expected: list[str]
) -> None:
    found = mongodb.check_url(f"mongodb://user:hidden@host/jobs?{options}")
    assert [issue.id for issue in found] == expected
    assert all(
        issue.is_serious() and "hidden" not in f"{issue.msg} {issue.hint}" for issue in found
    )
