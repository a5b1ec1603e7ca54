"""Encryption of what Redis must not show: with a key derived from SECRET_KEY, and kept nowhere."""

import base64
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

KEY_BYTES = 32
PURPOSE = b"enrichlabs: tokens of vendors in Redis"


def seal(text: str) -> str:
    return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode()


@lru_cache(maxsize=64)  # a call reads its token from Redis, which is mostly the same as before
def unseal(sealed: str) -> str:
    """Return the text; '' if it was sealed with another SECRET_KEY, or by nobody."""
    try:
        return _fernet(settings.SECRET_KEY).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return ""


def digest(text: str) -> str:
    """Return a name for a text from which nobody without SECRET_KEY can guess it."""
    key = _derived(settings.SECRET_KEY)[KEY_BYTES:]
    return hmac.digest(key, text.encode(), "sha256").hex()[:KEY_BYTES]


@lru_cache(maxsize=2)
def _fernet(secret_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derived(secret_key)[:KEY_BYTES]))


@lru_cache(maxsize=2)
def _derived(secret_key: str) -> bytes:
    """Return the key that encrypts, and after it the key of the digests."""
    derive = HKDF(SHA256(), length=2 * KEY_BYTES, salt=None, info=PURPOSE)
    return derive.derive(secret_key.encode())
