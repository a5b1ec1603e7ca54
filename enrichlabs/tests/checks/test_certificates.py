"""VENDOR_CA_FILE names a file of certificates, or is refused in one line."""

import subprocess
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config import environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authorities")
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=Ours -days 2"
    command = ["openssl", "req", *options.split(), "-keyout", "key.pem", "-out", "ca.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "empty.pem").touch()
    (folder / "text.pem").write_text("Not a certificate.\n")
    (folder / "broken.pem").write_text(
        "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"
    )
    return folder


def test_the_file_may_be_relative_or_in_the_home_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert environment.certificates("VENDOR_CA_FILE", folder) is None
    monkeypatch.setenv("VENDOR_CA_FILE", "ca.pem")
    assert environment.certificates("VENDOR_CA_FILE", folder) == folder / "ca.pem"
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("VENDOR_CA_FILE", "~/ca.pem")
    assert environment.certificates("VENDOR_CA_FILE", Path("/")) == folder / "ca.pem"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.pem", "can't be read: No such file or directory."),
        ("key.pem", "holds no certificates in PEM format."),
        ("empty.pem", "holds no certificates in PEM format."),
        ("text.pem", "holds no certificates in PEM format."),
        ("broken.pem", "holds no certificates in PEM format."),
        (".", "can't be read: Is a directory."),
    ],
)
def test_a_file_without_certificates_is_refused_with_the_reason(
    name: str, why: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_CA_FILE", name)
    assert environment.certificates("VENDOR_CA_FILE", folder) is None
    with pytest.raises(ImproperlyConfigured) as refused:
        environment.check()
    assert str(refused.value) == f"VENDOR_CA_FILE is {name!r}, but that file {why}"
