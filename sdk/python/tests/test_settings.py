"""Where the URL and the API key come from."""

import os

import pytest
from enrichlabs_client import Client, ConfigurationError, settings

from conftest import KEY


@pytest.fixture
def write(tmp_path):
    def write(text, mode=0o600):
        path = tmp_path / "config" / "enrichlabs" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


def test_arguments_beat_the_environment_which_beats_the_file(write, monkeypatch):
    write(f'url = "http://file/"\nkey = "{KEY}"')
    assert settings.find() == settings.Settings("http://file", KEY)
    monkeypatch.setenv("ENRICHLABS_API_KEY", "elk_environment")
    assert settings.find() == settings.Settings("http://file", "elk_environment")
    monkeypatch.setenv("ENRICHLABS_URL", "http://environment")
    assert settings.find() == settings.Settings("http://environment", "elk_environment")
    assert settings.find("http://argument", KEY) == settings.Settings("http://argument", KEY)
    assert KEY not in repr(settings.find("http://argument", KEY))


@pytest.mark.parametrize(
    "url", ["https://file", "http://file:81", "http://file.evil.example", "http://other"]
)
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_the_key_of_the_file_goes_to_no_other_server(write, monkeypatch, url, way):
    write(f'url = "http://file/"\nkey = "{KEY}"')
    if way == "environment":
        monkeypatch.setenv("ENRICHLABS_URL", url)
    with pytest.raises(ConfigurationError, match=f"is for http://file, and is not sent to {url}"):
        settings.find(url if way == "argument" else None)
    assert settings.find(url, "elk_mine").key == "elk_mine"


def test_the_server_of_the_file_may_be_written_differently(write):
    write(f'url = "http://file"\nkey = "{KEY}"')
    assert settings.find("http://FILE:80/path").key == KEY
    write(f'key = "{KEY}"')
    with pytest.raises(ConfigurationError, match="no url to say which service"):
        settings.find("http://file")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(write, mode):
    write(f'url = "http://file"\nkey = "{KEY}"', mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Client()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"key = {KEY}", "is not valid TOML"),
        ('urls = "x"', "unknown setting urls"),
        ("url = 5", "url in .* is not text"),
        ("", "Pass it, set ENRICHLABS_URL, or write it to"),
        ('url = "ftp://x"', "must look like https"),
        ('url = "http://a:b@x"', "may have no user"),
        (f'url = "http://x"\nkey = "{KEY}\\r\\nX: y"', "API key has characters"),
    ],
)
def test_what_cannot_be_used_is_named_without_the_key(write, text, sentence):
    write(text)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        Client()
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("ENRICHLABS_CONFIG", os.fspath(tmp_path / "nothing.toml"))
    with pytest.raises(ConfigurationError, match="is missing"):
        Client("http://x")
