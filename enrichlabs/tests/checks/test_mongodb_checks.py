"""What check --deploy says of a MongoDB: whether a job that was accepted outlives a power cut and a
failover.
"""

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
UNTOLD: dict[str, object] = {}
STANDALONE, WEAK, NO_RETRIES = "enrichlabs.W014", "enrichlabs.W015", "enrichlabs.W016"


@pytest.fixture
def issues(
    monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Callable[..., list[str]]]:
    """Return what is said of a server that answers so, at a URL with these options."""
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
            return [str(issue.id) for issue in mongodb.of_server()]

    yield issues
    for server, connection in opened:
        connection.close_pool()
        server.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", [STANDALONE, WEAK]),
        ("w=1", [STANDALONE, WEAK]),
        ("w=majority", [STANDALONE, WEAK]),
        ("journal=true", [STANDALONE]),
    ],
)
def test_a_single_server(issues: Callable[..., list[str]], options: str, said: list[str]) -> None:
    assert issues({}, UNTOLD, options) == said


@pytest.mark.parametrize(
    ("answers", "options", "said"),
    [
        (MAJORITY, "", []),
        (ONE, "", [WEAK]),
        (UNTOLD, "", [WEAK]),
        (ONE, "w=majority", []),
        (UNTOLD, "w=majority", []),
        (MAJORITY, "w=1", [WEAK]),
        (MAJORITY, "w=1&journal=true", [WEAK]),
        (MAJORITY, "w=2", [WEAK]),
        (MAJORITY, "w=2&journal=true", []),
        (MAJORITY, "journal=false", [WEAK]),
        (MAJORITY, "w=twoDataCenters", []),
        (MAJORITY, "retryWrites=false", [NO_RETRIES]),
        (UNTOLD, "w=1&retryWrites=false", [WEAK, NO_RETRIES]),
    ],
)
def test_a_replica_set(
    issues: Callable[..., list[str]], answers: dict[str, object], options: str, said: list[str]
) -> None:
    members = {"setName": "rs", "hosts": ["a:1", "b:2", "c:3"]}
    assert issues(members, answers, f"{options}&directConnection=true".strip("&")) == said


@pytest.mark.parametrize(("options", "said"), [("", []), ("w=1", [WEAK])])
def test_a_sharded_cluster(issues: Callable[..., list[str]], options: str, said: list[str]) -> None:
    assert issues({"msg": "isdbgrid"}, MAJORITY, options) == said


@pytest.mark.parametrize(
    ("options", "said"),
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
def test_what_no_installation_can_live_with(options: str, said: list[str]) -> None:
    found = mongodb.said_by_url(f"mongodb://user:hidden@host/jobs?{options}")
    assert [issue.id for issue in found] == said
    assert all(
        issue.is_serious() and "hidden" not in f"{issue.msg} {issue.hint}" for issue in found
    )
