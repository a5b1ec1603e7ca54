"""The form of an API key: `elk_`, 8 characters of public part, 32 of secret, 6 of checksum.

All are base62, so that a double click selects the whole key. The checksum is a CRC-32, as in
GitHub's tokens: whoever scans for leaked keys can tell a real one without asking us, and a mistyped
key is refused without asking the store. It protects nothing; the secret part has 190 bits.
"""

import hashlib
import re
import secrets
import string
import zlib

PREFIX = "elk_"
PUBLIC_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 8, 32, 6
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
BODY_LENGTH = len(PREFIX) + PUBLIC_LENGTH + SECRET_LENGTH
FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{PUBLIC_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH}}}")
ANY_KEY = re.compile(rf"({PREFIX}[0-9A-Za-z]{{{PUBLIC_LENGTH}}})[0-9A-Za-z]+")


def new_key() -> str:
    characters = (secrets.choice(ALPHABET) for _ in range(PUBLIC_LENGTH + SECRET_LENGTH))
    body = PREFIX + "".join(characters)
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    if not FORM.fullmatch(text):
        return False
    return text[BODY_LENGTH:] == _checksum(text[:BODY_LENGTH])


def public_part(key: str) -> str:
    """Return the part that names the key: in lists, commands and audit entries."""
    return key[len(PREFIX) :][:PUBLIC_LENGTH]


def named(text: str) -> str:
    """Return the public part that a person has written as the name of a key: AbCd1234,
    elk_AbCd1234, or the whole key. Empty if it is none of these.
    """
    body = text.strip().removeprefix(PREFIX)
    is_name = len(body) == PUBLIC_LENGTH and body.isascii() and body.isalnum()
    if is_name or is_well_formed(PREFIX + body):
        return body[:PUBLIC_LENGTH]
    return ""


def masked(text: str) -> str:
    """Return the text with all API keys in it, whole or cut, reduced to their public parts."""
    return ANY_KEY.sub(r"\1...", text) if PREFIX in text else text


def digest(key: str) -> str:
    """Return what is stored. A fast hash is enough, since nobody can guess 190 random bits."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
