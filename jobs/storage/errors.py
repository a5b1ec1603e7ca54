"""Explains why the store can't be used: a sentence with the remedy, without secrets or rows."""

import re

from pymongo.errors import OperationFailure, PyMongoError

from jobs.storage.store import STORE_ERRORS

LOGIN = (
    "MongoDB rejects the user or the password in DATABASE_URL. Correct them, and name the database "
    "that holds the user, for example authSource=admin."
)
NO_ACCESS = (
    "MongoDB denies access to the database. Add a user and password to DATABASE_URL, or grant that "
    "user the role readWrite."
)
FILE_GONE = (
    "The store's file was removed, moved or replaced while in use. Put it back or restore a "
    "backup, then restart the service."
)
BY_CODE = {11: LOGIN, 13: NO_ACCESS, 18: LOGIN, 8000: LOGIN}

# Patterns of the driver's messages, without its list of servers. The first match applies.
BY_PATTERN = {
    r"wire version|or later is required": ("This MongoDB is too old. Upgrade it to 6.0 or newer."),
    r"set name|replica set named": (
        "No server in DATABASE_URL belongs to the replica set it names. Correct replicaSet: "
        "rs.status().set shows the name."
    ),
    r"internal hostnames": (
        "The members of the replica set can't be reached under their names. Make the host names "
        "in rs.conf() resolvable from this machine."
    ),
    r"No primary|Primary\(\)|not (?:writable )?primary|node is recovering": (
        "The replica set has no primary. Check rs.status(): a majority of its members must be up "
        "and connected."
    ),
    r"certificate verify": (
        "MongoDB's certificate can't be verified. Set tlsCAFile to the file of its authority, and "
        "use the host name that is in the certificate."
    ),
    r"SSL|TLS": (
        "No TLS connection to MongoDB can be made. Remove tls=true from DATABASE_URL, or enable "
        "TLS on the server."
    ),
    r"_mongodb\._tcp|DNS|nameserver|resolution lifetime": (
        "DNS has no servers for the name after mongodb+srv://, or does not answer. Correct the "
        "name, or list the servers after mongodb://."
    ),
    r"Name or service|name resolution|nodename|No address": (
        "A host in DATABASE_URL is unknown. Correct its name."
    ),
    r"Connection refused": (
        "Nothing listens at the address in DATABASE_URL. Start MongoDB, or correct host and port."
    ),
    r"reset by peer|connection closed|Broken pipe": (
        "MongoDB closes the connection. If it requires TLS, add tls=true to DATABASE_URL; "
        "otherwise check its log."
    ),
    r"time(?:d )?out|found yet": (
        "MongoDB does not answer in time. Check that it is running, that it uses TLS if "
        "DATABASE_URL does, and that no firewall blocks the connection."
    ),
    r"unable to open|readonly|disk I/O|disk is full": (
        "The store's file can't be used. Make its folder writable for this user, or correct "
        "DATABASE_URL."
    ),
    r"removed, moved or replaced": FILE_GONE,
    r"malformed|not a database": (
        "The store's file is damaged, or is not an EnrichLabs store. Restore a backup, or correct "
        "DATABASE_URL."
    ),
    r"no such (?:table|column)": (
        "The tables of the store are missing or old. Run manage.py migrate."
    ),
    r"locked": "Another process keeps the store's file locked. End it, or retry.",
}


def explain(error: BaseException | None) -> str:
    """Return what is wrong with the store or the way to it, and the remedy; empty if the error does
    not say.
    """
    if not isinstance(error, STORE_ERRORS):
        return ""
    cause = error.__cause__
    code = cause.code if isinstance(cause, OperationFailure) else getattr(error, "code", None)
    if sentences := BY_CODE.get(code or 0):
        return sentences
    message = _message(error)
    return next((text for pattern, text in BY_PATTERN.items() if re.search(pattern, message)), "")


def server_address(error: BaseException) -> str:
    """Return the host and port that the error names, or an empty string. For operators, not for
    clients.
    """
    found = re.match(r"(?:SSL handshake failed: )?([\w.\-\[\]:]+:\d+): ", _message(error))
    return found[1] if found else ""


def _message(error: BaseException) -> str:
    """Return the message without the servers and settings that the driver appends."""
    cause = error.__cause__ if isinstance(error.__cause__, PyMongoError) else error
    return re.split(r", Timeout:|, full error:", str(cause))[0]
