"""DATABASE_URL is passed on unchanged; an invalid one is refused without quoting its secrets."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pymongo import MongoClient

from enrichlabs.config.stores import database

HERE = Path("/nowhere")


def client_of(url: str) -> MongoClient[dict[str, Any]]:
    settings = database(url, HERE)
    return MongoClient(settings["HOST"], connect=False, **settings["OPTIONS"])


def test_options_in_the_url_override_our_defaults() -> None:
    consistency = "replicaSet=rs&w=majority&journal=true&readConcernLevel=majority"
    timeouts = "serverSelectionTimeoutMS=11000&CONNECTTIMEOUTMS=12000&socketTimeoutMS=13000"
    others = "appName=gateway&compressors=zlib"
    options = client_of(f"mongodb://a,b:2/jobs?{consistency}&{others}&{timeouts}").options
    assert options.replica_set_name == "rs"
    assert options.write_concern.document == {"w": "majority", "j": True}
    assert options.read_concern.level == "majority"
    assert options.server_selection_timeout == 11
    assert (options.pool_options.connect_timeout, options.pool_options.socket_timeout) == (12, 13)
    assert options.pool_options.metadata["application"] == {"name": "gateway"}


def test_options_that_are_not_in_the_url_have_our_defaults() -> None:
    options = client_of("mongodb://a").options
    assert options.server_selection_timeout == 5
    assert (options.pool_options.connect_timeout, options.pool_options.socket_timeout) == (5, 30)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mongodb://a/jobs", "jobs"),
        ("mongodb://u:p%2F%40@a/jobs?authSource=admin", "jobs"),
        ("mongodb+srv://u:p@jobs.example.com/jobs?w=majority&srvMaxHosts=2", "jobs"),
        ("mongodb://a", "enrichlabs"),
        ("mongodb://a/?w=1", "enrichlabs"),
        ("mongodb://a?w=1", "enrichlabs"),
    ],
)
def test_the_database_name_is_the_path_of_the_url(url: str, name: str) -> None:
    assert (database(url, HERE)["NAME"], database(url, HERE)["HOST"]) == (name, url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mongodb://hid:den/7@host/jobs", "write : / ? # @ % as %3A %2F"),
        ("mongodb://hid:123/den@host", "write : / ? # @ % as %3A %2F"),
        ("mongodb://hid:123?den@host/jobs", "write : / ? # @ % as %3A %2F"),
        ("mongodb://hid:d@en@host/jobs", "Username and password must be escaped"),
        ("mongodb://hid:d:en@host/jobs", "Username and password must be escaped"),
        ("mongodb://hid:d%en@host/jobs", "Username and password must be escaped"),
        ("mongodb+srv://hid:d@en@host/jobs", "Username and password must be escaped"),
        (
            "mongodb://hid:den@host/jobs?jurnal=true",
            "has the option jurnal, which is invalid: MongoDB's driver does not know it",
        ),
        ("mongodb+srv://hid:den@host/jobs?jurnal=true", "has the option jurnal"),
        (
            "mongodb://host/jobs?tls=maybe",
            "has the option tls, which is invalid: The value of tls must be 'true' or 'false'.",
        ),
        (
            "mongodb://host/jobs?readPreference=any",
            "has the option readPreference, which is invalid: Not a valid",
        ),
        (
            "mongodb://host/jobs?tlsCAFile=/none.pem",
            "has the option tlsCAFile, which is invalid: The tlscafile file is not",
        ),
        (
            "mongodb://host/jobs?authMechanismProperties=hid:den",
            "has the option authMechanismProperties",
        ),
        ("mongodb://host/jobs?ssl=true&tls=false", "conflicting values"),
        ("mongodb:///jobs", "Empty host"),
        ("mongodb://host:port/jobs", "can't be read: Port"),
        ("mongodb://host/jobs.old", "has an invalid database name"),
        (
            "mongo://hid:den@host",
            "starts with 'mongo', but must start with sqlite:, mongodb: or mongodb+srv:.",
        ),
        ("hidden", "starts with '', but must start with"),
    ],
)
def test_an_invalid_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        database(url, HERE)
    assert said in str(refused.value)
    assert "hid" not in str(refused.value)
    assert "den" not in str(refused.value)
