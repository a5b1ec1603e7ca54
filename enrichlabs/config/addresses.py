"""Addresses in settings: HOST, PUBLIC_URL, ALLOWED_HOSTS and REDIS_URL, refused with the right
spelling where wrong.
"""

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
    """Return the host as it stands in a URL: lower case, other letters as xn--, an IPv6 address in
    brackets.

    Raises ValueError, with a clause that goes after "names a host that".
    """
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if ":" in bare:
        return f"[{_ip_address(bare, ipaddress.IPv6Address)}]"
    try:
        name = bare.lower() if bare.isascii() else idna.encode(bare, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("is no domain name") from None
    name = name.removesuffix(".")
    if "_" in name:
        raise ValueError("has a _, which no host name on the web may have")
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
    """Return HOST as it stands in a URL."""
    try:
        return host_name(value)
    except ValueError as error:
        raise ValueError(
            f"is {value!r}, a host that {error}. Write 127.0.0.1, ::1 or a host name, without a port."
        ) from None


def reached_at(host: str) -> str:
    """Return by what host, as it stands in a URL, this machine reaches what listens on `host`."""
    return ANY_ADDRESS.get(host, host)


def host_of(url: str) -> str:
    """Return the host of what public_url() returned, as it stands in the URL."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def public_url(value: str) -> str:
    """Return an http or https URL without a slash at its end, the host as it stands in requests."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("can't be read. Write it like https://jobs.example.com.") from None
    _refuse_extras(value, parts.netloc)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0:
        raise ValueError(
            f"is {value!r}, but must be a whole address such as https://jobs.example.com."
        )
    try:
        host = host_name(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    except ValueError as error:
        raise ValueError(f"names a host that {error}. Name one that vendors can reach.") from None
    if host in ANY_ADDRESS:
        raise ValueError(
            f"names {host}, which is no address that a vendor can reach. Name one that is."
        )
    path = parts.path.rstrip("/")
    if not re.fullmatch(r"(/(?!\.{1,2}(/|\Z))([\w.~-]|%[0-9A-Fa-f]{2})+)*", path, re.ASCII):
        raise ValueError(
            "has a path that can't stand in a URL. Write letters, digits, . _ ~ - and single slashes."
        )
    return f"{parts.scheme}://{host}{'' if port in (None, DEFAULT_PORTS[parts.scheme]) else f':{port}'}{path}"


def _refuse_extras(value: str, netloc: str) -> None:
    if re.search(r"[\s\\]", value) or not value.isprintable():
        raise ValueError("has a blank, a backslash or a control character in it. Take it out.")
    if "@" in netloc:
        raise ValueError("has a user or a password, which every vendor would be sent. Take it out.")
    if "?" in value or "#" in value:
        raise ValueError(
            "has a query or a fragment, which callback URLs can't have. Take out ? or #, and what follows."
        )


def allowed_hosts(value: str) -> list[str]:
    """Return the names in ALLOWED_HOSTS, as Django compares them with requests."""
    named = [part.strip() for part in value.split(",") if part.strip()] or [value]
    try:
        return [_allowed_host(name) for name in named]
    except ValueError:
        wrong = next(name for name in named if _or_none(name) is None)
    spelled = [each for name in re.split(r"[\s,;]+", value) for each in _corrected(name)]
    advice = (
        f"Write {','.join(dict.fromkeys(spelled))}"
        if spelled
        else "Write host names, such as jobs.example.com"
    )
    raise ValueError(f"names {wrong!r}, which no request can match. {advice}.")


def _allowed_host(name: str) -> str:
    if name == "*":
        return name
    return f".{host_name(name[1:])}" if name.startswith(".") else host_name(name)


def _or_none(name: str) -> str | None:
    try:
        return _allowed_host(name)
    except ValueError:
        return None


def _corrected(name: str) -> list[str]:
    """Return the name without scheme, user, port, path, quotes and brackets of a list; nothing
    where that is no name either.
    """
    name = name.strip("\"'")
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](:[0-9]*)?", name):
        name = name.strip("[]\"'")
    name = re.sub(r"^[a-z]+://|[/?#].*$", "", name).rpartition("@")[2]
    name = re.sub(r"(?<=[^:]):[0-9]*$", "", name) if name.count(":") == 1 or "]" in name else name
    found = _or_none(name.removeprefix("*") if name.startswith("*.") else name)
    return [found] if found else []


def redis_url(value: str) -> str:
    """Return the URL if the client can use it. What it refuses is not quoted: there may be a
    password in it.
    """
    kind = value.partition("://")[0]
    usable = "redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///path"
    if kind not in ("redis", "rediss", "unix"):
        raise ValueError(f"must be {usable}.")
    try:
        parts = urlsplit(value)
        if (
            kind == "unix"
            and not parts.path
            or kind != "unix"
            and not re.fullmatch("/?|/[0-9]+", parts.path)
        ):
            raise ValueError
        redis.ConnectionPool.from_url(value).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(f"can't be read. Write {usable}. {ESCAPED}") from None
    return value
