"""Why the store can't be used: a sentence that says what to do, and quotes neither secrets nor
rows.
"""

import re

from pymongo.errors import OperationFailure, PyMongoError

from jobs.storage.store import STORE_ERRORS

LOGIN = (
    "MongoDB refuses the user or the password of DATABASE_URL. Correct them, and name the database that holds the user, "
    "such as authSource=admin."
)
NO_RIGHT = "MongoDB does not let us use the database. Put user and password into DATABASE_URL, or grant that user readWrite on it."
FILE_GONE = (
    "The file of the store was removed, moved or replaced while it was in use. "
    "Put it back, or restore a backup, and restart the service."
)
CODES = {11: LOGIN, 13: NO_RIGHT, 18: LOGIN, 8000: LOGIN}

# What the driver says, as far as it names its servers, and what it means: the first that fits.
WORDS = {
    r"wire version|or later is required": "This MongoDB is too old. Upgrade it to 6.0 or newer.",
    r"set name|replica set named": "No server of DATABASE_URL is in the replica set that it names. Correct replicaSet: "
    "rs.status().set says its name.",
    r"internal hostnames": "The members of the replica set can't be reached by the names that they go by. Make the names of "
    "rs.conf() known to this machine.",
    r"No primary|Primary\(\)|not (?:writable )?primary|node is recovering": "The replica set has no primary. See "
    "rs.status(): most of its members must be up and reach each other.",
    r"certificate verify": "The certificate of MongoDB can't be verified. Name the file of its authority by tlsCAFile, and the "
    "server as the certificate does.",
    r"SSL|TLS": "No TLS connection to MongoDB can be made. Take tls=true out of DATABASE_URL, or have the server speak TLS.",
    r"_mongodb\._tcp|DNS|nameserver|resolution lifetime": "The DNS knows no servers for the name after mongodb+srv://, or does "
    "not answer. Correct it, or list the servers after mongodb://.",
    r"Name or service|name resolution|nodename|No address": "A host of DATABASE_URL is not known. Correct its name.",
    r"Connection refused": "Nobody listens where DATABASE_URL leads to. Start MongoDB, or correct host and port.",
    r"reset by peer|connection closed|Broken pipe": "MongoDB closes the connection. If it asks for TLS, add tls=true to "
    "DATABASE_URL; else look at its log.",
    r"time(?:d )?out|found yet": "MongoDB does not answer in time. See whether it runs, whether it speaks TLS as DATABASE_URL "
    "has it, and whether a firewall is in between.",
    r"unable to open|readonly|disk I/O|disk is full": "The file of the store can't be used. Make its folder one that this user "
    "can write to, or correct DATABASE_URL.",
    r"removed, moved or replaced": FILE_GONE,
    r"malformed|not a database": "The file of the store is damaged or none of ours. Restore a backup, or correct DATABASE_URL.",
    r"no such (?:table|column)": "The tables of the store are missing or old. Run manage.py migrate.",
    r"locked": "Another process keeps the file of the store locked. End it, or try again.",
}


def fault(error: BaseException | None) -> str:
    """Return what is wrong and what to do; empty for an error that does not tell of the store or
    the way to it.
    """
    if not isinstance(error, STORE_ERRORS):
        return ""
    cause = error.__cause__
    code = cause.code if isinstance(cause, OperationFailure) else getattr(error, "code", None)
    words = _words(error)
    return CODES.get(code or 0) or next(
        (sentences for pattern, sentences in WORDS.items() if re.search(pattern, words)), ""
    )


def place(error: BaseException) -> str:
    """Return the host and port that the error tells of; empty where it names none. For operators,
    not for clients.
    """
    found = re.match(r"(?:SSL handshake failed: )?([\w.\-\[\]:]+:\d+): ", _words(error))
    return found[1] if found else ""


def _words(error: BaseException) -> str:
    """Without the list of servers and settings that the driver appends."""
    cause = error.__cause__ if isinstance(error.__cause__, PyMongoError) else error
    return re.split(r", Timeout:|, full error:", str(cause))[0]
