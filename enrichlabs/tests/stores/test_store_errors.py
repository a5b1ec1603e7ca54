"""A store that can't be used is explained in one sentence, over the real wire, without secrets."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight, startup
from harness.mongodb import SecantusDB
from harness.running import get
from harness.stub_mongodb import StubMongoDB

PASSWORD = "p%2Fa%40s%3As%25"


@pytest.fixture
def refusal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Callable[[str], str]:
    """Return why check_store refuses the store at a URL; empty when it accepts it."""
    monkeypatch.setattr(preflight, "TIMEOUT_SECONDS", 2.0)

    def refusal(url: str) -> str:
        connection = ConnectionHandler({"default": {}, "tried": database(url, tmp_path)})["tried"]
        monkeypatch.setattr(preflight, "connection", connection)
        # Django would check the version of the server only once per process.
        monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
        try:
            with django_db_blocker.unblock():
                startup.check_store()
        except startup.StartupError as error:
            text = str(error)
            assert "p/a@s" not in text
            assert "\n" not in text
            return text
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
    options = "-x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    files = "-keyout key.pem -out cert.pem -addext subjectAltName=IP:127.0.0.1"
    command = f"openssl req {options} {files}"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[SecantusDB]:
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


def test_a_login_is_accepted_or_explained(refusal: Callable[[str], str], tmp_path: Path) -> None:
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


def test_a_wrong_replica_set_name_is_explained(
    refusal: Callable[[str], str], replica_set: SecantusDB
) -> None:
    assert refusal(replica_set.url("replicaSet=secantus&w=majority")) == ""
    assert "Correct replicaSet: rs.status().set shows the name." in refusal(
        replica_set.url("replicaSet=other")
    )


def test_a_single_server_taken_for_a_replica_set_is_explained(
    refusal: Callable[[str], str], single: SecantusDB
) -> None:
    assert "Correct replicaSet" in refusal(single.url("replicaSet=other"))


def test_tls_faults_are_explained(
    refusal: Callable[[str], str], tls_server: SecantusDB, certificate: Path
) -> None:
    assert refusal(tls_server.url(f"tls=true&tlsCAFile={certificate}")) == ""
    assert (
        f"can't be verified ({tls_server.address}). Set tlsCAFile to the file of its authority"
        in refusal(tls_server.url("tls=true"))
    )
    assert (
        f"closes the connection ({tls_server.address}). If it requires TLS, add tls=true"
        in refusal(tls_server.url())
    )


def test_a_server_without_tls_is_explained(
    refusal: Callable[[str], str], single: SecantusDB
) -> None:
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
def test_an_address_without_a_store_is_explained(
    refusal: Callable[[str], str], url: str, said: str
) -> None:
    assert said in refusal(url)


@pytest.fixture
def pretend() -> Iterator[Callable[..., StubMongoDB]]:
    servers = []

    def pretend(hello: dict[str, object], **answers: dict[str, object]) -> StubMongoDB:
        servers.append(StubMongoDB(hello, **answers))
        return servers[-1]

    yield pretend
    for server in servers:
        server.close()


@pytest.mark.parametrize(("wire", "version"), [(6, [3, 6, 23, 0]), (9, [4, 4, 29, 0])])
def test_an_outdated_server_is_explained(
    refusal: Callable[[str], str],
    pretend: Callable[..., StubMongoDB],
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


def test_a_replica_set_without_a_primary_is_explained(
    refusal: Callable[[str], str], pretend: Callable[..., StubMongoDB]
) -> None:
    server = pretend(
        {"setName": "rs", "secondary": True, "isWritablePrimary": False, "ismaster": False}
    )
    text = refusal(f"mongodb://{server.address}/?replicaSet=rs")
    assert text.startswith("The replica set has no primary. ")


def test_clients_get_503_from_an_outdated_server(
    serve: Callable[..., int], pretend: Callable[..., StubMongoDB]
) -> None:
    server = pretend(
        {"maxWireVersion": 9}, buildinfo={"versionArray": [4, 4, 0, 0], "version": "4.4.0"}
    )
    port = serve(DATABASE_URL=f"mongodb://{server.address}/", REDIS_URL="redis://127.0.0.1:1")
    status, body = get(port, "/jobs")
    assert (status, json.loads(body)["code"]) == (503, "store_unavailable")
