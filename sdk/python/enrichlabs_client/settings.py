"""Where the service is, and with which API key to call it."""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from enrichlabs_client.errors import ConfigurationError

PORTS = {"http": 80, "https": 443}
PUBLIC_PART = re.compile("elk_[0-9A-Za-z]{8}")
HOW_TO_SET = (
    "Pass it, set {variable}, or write it to {file} (a line such as {name} = {example!r}), "
    "readable by you alone."
)


@dataclass(frozen=True)
class Settings:
    url: str
    key: str | None = field(default=None, repr=False)

    @property
    def key_prefix(self) -> str:
        """The public part of the key. Empty without a key."""
        found = PUBLIC_PART.match(self.key or "")
        return found[0] if found else ""


def find(url: str | None = None, key: str | None = None) -> Settings:
    """Take what is not given from the environment, else from the configuration file."""
    url = url or os.environ.get("ENRICHLABS_URL")
    key = key or os.environ.get("ENRICHLABS_API_KEY")
    written = {} if url and key else _read(config_file())
    url = url or written.get("url")
    if not url:
        how = HOW_TO_SET.format(
            variable="ENRICHLABS_URL",
            file=config_file(),
            name="url",
            example="https://enrichlabs.example.com",
        )
        raise ConfigurationError(f"The URL of the service is not set. {how}")
    url = _checked_url(url.strip())
    if not key and (key := written.get("key")):
        _check_same_server(url, written.get("url"))
    return Settings(url, _checked_key(key.strip()) if key else None)


def _check_same_server(url: str, own: str | None) -> None:
    """Keep the key of the file from a server that the file does not name."""
    file = config_file()
    if not own:
        raise ConfigurationError(
            f"{file} has a key, but no url to say which service it is for. Write its url there, or "
            "set ENRICHLABS_API_KEY."
        )
    own = _checked_url(own.strip())
    if _server(url) != _server(own):
        raise ConfigurationError(
            f"The API key in {file} is for {own}, and is not sent to {url}. Set ENRICHLABS_API_KEY "
            "to the key for this URL, or ENRICHLABS_CONFIG to another file."
        )


def _server(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]


def config_file() -> Path:
    if named := os.environ.get("ENRICHLABS_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "enrichlabs" / "config.toml"


def _read(path: Path) -> Mapping[str, str]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigurationError(
                    f"{path} may be read by others. Make it yours alone: chmod 600 {path}"
                )
            values = tomllib.load(file)
    except FileNotFoundError:
        if "ENRICHLABS_CONFIG" in os.environ:
            raise ConfigurationError(f"{path}, named by ENRICHLABS_CONFIG, is missing.") from None
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):  # their texts may quote the key
        raise ConfigurationError(f"{path} is not valid TOML.") from None
    return _known(values, path)


def _known(values: Mapping[str, object], path: Path) -> Mapping[str, str]:
    found = {}
    for name, value in values.items():
        if name not in ("url", "key"):
            raise ConfigurationError(f"{path} has the unknown setting {name}. Use url and key.")
        if not isinstance(value, str):
            raise ConfigurationError(f"{name} in {path} is not text in quotes.")
        found[name] = value
    return found


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise ConfigurationError(
            "The URL of the service must look like https://enrichlabs.example.com."
        )
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError("The URL of the service may have no user, query or fragment.")
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    # A header can't hold anything else. The error of http.client would show the key.
    if not key.isascii() or any(c.isspace() or not c.isprintable() for c in key):
        raise ConfigurationError("The API key has characters that no API key has. Copy it again.")
    return key
