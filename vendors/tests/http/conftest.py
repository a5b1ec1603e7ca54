import ssl
from pathlib import Path

import pytest

from vendors.tests.http.certificates import make_certificate, server_context


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of certificates."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="session")
def certificate(folder: Path) -> Path:
    """The certificate of a vendor, trusted by whoever names this file."""
    return make_certificate(folder, "good")


@pytest.fixture(scope="session")
def context(certificate: Path) -> ssl.SSLContext:
    """The TLS of a vendor with this certificate."""
    return server_context(certificate)
