"""A store that can't be used: why, in a sentence that says what to do, over the real wire and
without secrets.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight
from harness.ports import free_port
from harness.running import ROOT, environment, get
from harness.secantus import SecantusDB
from harness.stub_mongodb import PretendedMongoDB
from harness.waiting import wait_for

CERTIFICATE = [
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
]
PASSWORD = "p%2Fa%40s%3As%25"


@pytest.fixture
def refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Callable[[str], str]:
    """Return what check_store says of the store at a URL; empty when nothing is wrong."""
    monkeypatch.setattr(preflight, "ANSWER_SECONDS", 2.0)

    def refusal(url: str) -> str:
        connection = ConnectionHandler({"default": {}, "tried": database(url, tmp_path)})["tried"]
        monkeypatch.setattr(preflight, "connection", connection)
        # Else Django asks for the version of the server but once a process.
        monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
        try:
            with django_db_blocker.unblock():
                preflight.check_store()
        except preflight.Obstacle as obstacle:
            said = str(obstacle)
            assert "p/a@s" not in said
            assert "\n" not in said
            return said
        finally:
            getattr(connection, "close_pool", connection.close)()
        return ""

    return refusal


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecantusDB]:
    server = SecantusDB(tmp_path_factory.mktemp("single"), "--standalone")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecantusDB]:
    server = SecantusDB(tmp_path_factory.mktemp("set"))
    yield server
    server.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    files = [
        "-keyout",
        folder / "key.pem",
        "-out",
        folder / "cert.pem",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([*CERTIFICATE, *files], check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def by_tls(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[SecantusDB]:
    options = [
        f"--tls-cert-file={certificate}",
        f"--tls-key-file={certificate.with_name('key.pem')}",
        "--standalone",
    ]
    server = SecantusDB(
        tmp_path_factory.mktemp("by-tls"), *options, client=f"tls=true&tlsCAFile={certificate}"
    )
    yield server
    server.kill()


def test_logins(refusal: Callable[[str], str], tmp_path: Path) -> None:
    server = SecantusDB(tmp_path / "db", "--standalone")
    try:
        create_user(server)
        server.restart("--standalone", "--auth")
        assert refusal(server.url("authSource=admin", f"user:{PASSWORD}@")) == ""
        assert refusal(server.url("authSource=admin", f"user:{PASSWORD}x@")).startswith(
            "MongoDB rejects the user or the password"
        )
        assert "for example authSource=admin." in refusal(server.url("", f"user:{PASSWORD}@"))
        assert refusal(server.url()).startswith(
            "MongoDB denies access to the database. Add a user and password to"
        )
    finally:
        server.kill()


def create_user(server: SecantusDB) -> None:
    with pymongo.MongoClient(server.url()) as client:
        client.admin.command("createUser", "user", pwd="p/a@s:s%", roles=["root"])


def test_a_replica_set_by_its_name(refusal: Callable[[str], str], replica_set: SecantusDB) -> None:
    assert refusal(replica_set.url("replicaSet=secantus&w=majority")) == ""
    assert "Correct replicaSet: rs.status().set shows the name." in refusal(
        replica_set.url("replicaSet=other")
    )


def test_a_replica_set_that_is_none(refusal: Callable[[str], str], single: SecantusDB) -> None:
    assert "Correct replicaSet" in refusal(single.url("replicaSet=other"))


def test_tls(refusal: Callable[[str], str], by_tls: SecantusDB, certificate: Path) -> None:
    assert refusal(by_tls.url(f"tls=true&tlsCAFile={certificate}")) == ""
    assert (
        f"can't be verified ({by_tls.address}). Set tlsCAFile to the file of its authority"
        in refusal(by_tls.url("tls=true"))
    )
    assert f"closes the connection ({by_tls.address}). If it requires TLS, add tls=true" in refusal(
        by_tls.url()
    )


def test_tls_where_there_is_none(refusal: Callable[[str], str], single: SecantusDB) -> None:
    assert "that it uses TLS if DATABASE_URL does" in refusal(single.url("tls=true"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "mongodb://user:p%2Fa%40s@127.0.0.1:1/jobs",
            "Nothing listens at the address in DATABASE_URL (127.0.0.1:1). Start MongoDB",
        ),
        (
            "mongodb://user:p%2Fa%40s@none.invalid/jobs",
            "A host in DATABASE_URL is unknown (none.invalid:27017). Correct its name.",
        ),
        (
            "mongodb+srv://user:p%2Fa%40s@none.invalid/jobs",
            "DNS has no servers for the name after mongodb+srv://, or does",
        ),
        (
            "sqlite:///none/jobs.sqlite3",
            "The store's file can't be used. Make its folder writable for this user",
        ),
        ("sqlite:///etc/passwd", "The store's file"),
    ],
)
def test_a_place_where_no_store_is(refusal: Callable[[str], str], url: str, said: str) -> None:
    assert said in refusal(url)


@pytest.fixture
def pretend() -> Iterator[Callable[..., PretendedMongoDB]]:
    servers = []

    def pretend(hello: dict[str, object], **answers: dict[str, object]) -> PretendedMongoDB:
        servers.append(PretendedMongoDB(hello, **answers))
        return servers[-1]

    yield pretend
    for server in servers:
        server.close()


@pytest.mark.parametrize(("wire", "version"), [(6, [3, 6, 23, 0]), (9, [4, 4, 29, 0])])
def test_a_server_that_is_too_old(
    refusal: Callable[[str], str],
    pretend: Callable[..., PretendedMongoDB],
    wire: int,
    version: list[int],
) -> None:
    server = pretend(
        {"maxWireVersion": wire}, buildinfo={"versionArray": version, "version": "old"}
    )
    assert (
        refusal(f"mongodb://{server.address}/")
        == "This MongoDB is too old. Upgrade it to 6.0 or newer."
    )


def test_a_replica_set_without_a_primary(
    refusal: Callable[[str], str], pretend: Callable[..., PretendedMongoDB]
) -> None:
    server = pretend(
        {"setName": "rs", "secondary": True, "isWritablePrimary": False, "ismaster": False}
    )
    said = "The replica set has no primary. Check rs.status(): a majority of its members must be up and connected."
    assert refusal(f"mongodb://{server.address}/?replicaSet=rs") == said


def test_a_server_that_is_too_old_costs_a_client_a_clear_answer(
    serve: Callable[..., int], pretend: Callable[..., PretendedMongoDB]
) -> None:
    server = pretend(
        {"maxWireVersion": 9}, buildinfo={"versionArray": [4, 4, 0, 0], "version": "4.4.0"}
    )
    port = serve(DATABASE_URL=f"mongodb://{server.address}/", REDIS_URL="redis://127.0.0.1:1")
    status, body = get(port, "/jobs")
    assert (status, json.loads(body)["code"]) == (503, "store_unavailable")


def manage(
    folder: Path, *arguments: str, **variables: object
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "enrichlabs.command_line", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["migrate", "replay"])
def test_a_command_without_its_store_says_so_and_no_more(tmp_path: Path, command: str) -> None:
    ended = manage(
        tmp_path,
        command,
        DATABASE_URL="mongodb://hid:den@127.0.0.1:1/jobs?serverSelectionTimeoutMS=500",
    )
    assert ended.returncode == 1
    assert "Nothing listens at the address in DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hid" not in ended.stderr


COMMANDS = [
    ["prune", "--older-than", "30d", "--yes"],
    ["import", "rows.jsonl"],
    ["export", "rows.jsonl"],
    ["replay", "--dry-run"],
    ["load_vendors", "--mocks", "http://127.0.0.1:1"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("on_mongodb", [False, True])
def test_a_command_on_a_store_without_tables(
    single: SecantusDB, tmp_path: Path, command: list[str], on_mongodb: bool
) -> None:
    (tmp_path / "rows.jsonl").touch()
    arguments = [str(tmp_path / word) if word == "rows.jsonl" else word for word in command]
    ended = manage(tmp_path, *arguments, **({"DATABASE_URL": single.url()} if on_mongodb else {}))
    assert ended.returncode == 1
    assert "The tables of the store are missing or old" in ended.stderr
    assert "Run manage.py migrate" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_with_a_url_that_cannot_be_read_says_so_and_no_more(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", DATABASE_URL="mongodb://hid:d@en@127.0.0.1/jobs")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(
        "enrichlabs: DATABASE_URL can't be read: Username and password must be escaped"
    )


def test_gunicorn_says_once_what_keeps_it_from_starting(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:enrichlabs.gunicorn",
        "-b",
        f"127.0.0.1:{free_port()}",
    ]
    variables = environment(tmp_path, DATABASE_URL="mongodb://127.0.0.1/jobs?w=0")
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "enrichlabs.wsgi"], cwd=ROOT, env=variables, stderr=output
        )
    wait_for(lambda: process.poll() is not None, "gunicorn to end", 60)
    assert (
        log.read_text().count(
            "enrichlabs: DATABASE_URL says w=0: MongoDB would acknowledge no write"
        )
        == 1
    )
    assert "Traceback" not in log.read_text()
