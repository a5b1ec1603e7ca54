"""Keys and secrets in files, as container platforms mount them."""

import os

import pytest

from vendors import secret_files, variables

pytestmark = pytest.mark.sqlite
NAME = "VENDOR_ACME_KEY"


@pytest.fixture
def key_file(tmp_path, monkeypatch):
    monkeypatch.setattr(secret_files, "MAX_AGE_SECONDS", 0)
    path = tmp_path / "acme"
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    return path


def test_a_changed_file_is_read_again(key_file):
    key_file.write_text("k3y\n")
    before = variables.files_of([NAME])
    assert (variables.value(NAME), variables.missing(NAME)) == ("k3y\n", "")
    key_file.write_text("rotated")
    assert variables.values([NAME]) == ("rotated",)
    assert variables.files_of([NAME]) != before


def test_the_variable_itself_comes_first(key_file, monkeypatch):
    key_file.write_text("of the file")
    monkeypatch.setenv(NAME, "of the variable")
    assert (variables.value(NAME), variables.files_of([NAME])) == ("of the variable", ())


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "can't be read (FileNotFoundError)"),
        (b"\n", "is empty"),
        (b"\xff", "is not text in UTF-8"),
        (b"k" * (64 * 1024 + 1), "is longer than 64 KiB"),
    ],
)
def test_a_file_without_a_value_is_a_fault(key_file, content, fault):
    if content is not None:
        key_file.write_bytes(content)
    assert variables.missing(NAME) == f"The file of {NAME}_FILE {fault}."


def test_a_pipe_is_not_opened(key_file):
    os.mkfifo(key_file)
    assert variables.missing(NAME) == f"The file of {NAME}_FILE is no regular file."


def test_a_setting_is_no_secret(monkeypatch):
    monkeypatch.setenv("VENDOR_CA_FILE", __file__)
    assert variables.value("VENDOR_CA") == ""
