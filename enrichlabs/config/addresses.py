"""Parses the addresses in settings: HOST, PUBLIC_URL, ALLOWED_HOSTS and REDIS_URL."""

import ipaddress
import re
from urllib.parse import urlsplit

import idna
import redis

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
DEFAULT_PORTS = {"http": 80, "https": 443}
ESCAPED = "In user and password, write : / ? # @ % as %3A %2F %3F %23 %40 %25."


def host_name(value: str) -> str:
    """Return the host as in a URL: lower case, non-ASCII letters in Punycode, IPv6 in brackets.

    Raises ValueError, with a clause that follows "a host that".
    """
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in bare:
        return f"[{_ip_address(bare, ipaddress.IPv6Address)}]"
    try:
        name = bare.lower() if bare.isascii() else idna.encode(bare, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("is not a domain name") from None
    name = name.removesuffix(".")
    if "_" in name:
        raise ValueError("contains _, which host names may not")
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError("is neither a host name nor an IP address")
    return _ip_address(name, ipaddress.IPv4Address) if labels[-1].isdigit() else name


def _ip_address(value: str, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> str:
    try:
        if "%" in value:
            raise ValueError
        return kind(value).compressed
    except ValueError:
        raise ValueError("is neither a host name nor an IP address") from None


def bind_host(value: str) -> str:
    """Return HOST as in a URL."""
    try:
        return host_name(value)
    except ValueError as error:
        raise ValueError(
            f"is {value!r}, a host that {error}. "
            "Write 127.0.0.1, ::1 or a host name, without a port."
        ) from None


def reached_at(host: str) -> str:
    """Return the host by which this machine reaches a server that listens on `host`."""
    return ANY_ADDRESS.get(host, host)


def is_loopback(url: str) -> bool:
    """Return whether only this machine reaches what the URL names."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str:
    """Return the host of a URL that public_url() returned, as in that URL."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def public_url(value: str) -> str:
    """Return an http or https URL without a trailing slash, its host as in requests."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL. Write it like https://jobs.example.com.") from None
    _refuse_extras(value, parts.netloc)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError(f"is {value!r}, but must be a full URL like https://jobs.example.com.")
    try:
        host = host_name(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    except ValueError as error:
        raise ValueError(f"names a host that {error}. Use one that vendors can reach.") from None
    if host in ANY_ADDRESS:
        raise ValueError(f"names {host}, which vendors can't reach. Use an address that they can.")
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"(/(?!\.{1,2}(/|\Z))([\w.~-]|%[0-9A-Fa-f]{2})+)*", path, re.ASCII):
        raise ValueError(
            "has an invalid path. Use letters, digits, . _ ~ - and single slashes only."
        )
    suffix = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}{path}"


def _refuse_extras(value: str, netloc: str) -> None:
    if re.search(r"[\s\\]", value) or not value.isprintable():
        raise ValueError("contains a space, a backslash or a control character. Remove it.")
    if "@" in netloc:
        raise ValueError("contains a user or a password, which every vendor would see. Remove it.")
    if "?" in value or "#" in value:
        raise ValueError("has a query or a fragment, which callback URLs can't have. Remove it.")


def allowed_hosts(value: str) -> list[str]:
    """Return the names in ALLOWED_HOSTS, as Django matches them against requests."""
    names = [part.strip() for part in value.split(",") if part.strip()] or [value]
    try:
        return [_allowed_host(name) for name in names]
    except ValueError:
        wrong = next(name for name in names if _allowed_host_or_none(name) is None)
    corrected = [each for name in re.split(r"[\s,;]+", value) for each in _corrected(name)]
    advice = "Write host names, such as jobs.example.com"
    if corrected:
        advice = f"Write {','.join(dict.fromkeys(corrected))}"
    raise ValueError(f"names {wrong!r}, which no request can match. {advice}.")


def _allowed_host(name: str) -> str:
    if name == "*":
        return name
    return f".{host_name(name[1:])}" if name.startswith(".") else host_name(name)


def _allowed_host_or_none(name: str) -> str | None:
    try:
        return _allowed_host(name)
    except ValueError:
        return None


def _corrected(name: str) -> list[str]:
    """Return the name without scheme, user, port, path, quotes and list brackets; an empty list if
    the rest is not a name either.
    """
    name = name.strip("\"'")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](:[0-9]*)?", name):
        name = name.strip("[]\"'")
    name = re.sub(r"^[a-z]+://|[/?#].*$", "", name).rpartition("@")[2]
    name = re.sub(r"(?<=[^:]):[0-9]*$", "", name) if name.count(":") == 1 or "]" in name else name
    found = _allowed_host_or_none(name.removeprefix("*") if name.startswith("*.") else name)
    return [found] if found else []


def redis_url(value: str) -> str:
    """Return the URL if the client can use it. Errors do not quote it: it may hold a password."""
    kind = value.partition("://")[0]
    usable = "redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///path"
    if kind not in ("redis", "rediss", "unix"):
        raise ValueError(f"must be {usable}.")
    try:
        parts = urlsplit(value)
        path_pattern = ".+" if kind == "unix" else "/?|/[0-9]+"
        if not re.fullmatch(path_pattern, parts.path):
            raise ValueError
        redis.ConnectionPool.from_url(value).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(f"is not a valid URL. Write {usable}. {ESCAPED}") from None
    return value
