"""The session token: what the client holds, and what the store may know of it.

A token is base64url(16-byte record id + 24-byte secret), 54 characters. The store has the id and a
SHA-256 of the cookie's name and the secret. A fast hash is right here: the secret is random, not a
password.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from hashlib import sha256

ID_BYTES = 16
SECRET_BYTES = 24

LENGTH = 54
"""Characters of a token."""

FORM = "[A-Za-z0-9_-]{53}[AQgw]"
"""Regular expression of a token. The last character carries two bits, hence only four letters."""

_PUBLIC = re.compile("[A-Za-z0-9_-]{21}[AQgw]")


def new_id() -> bytes:
    """Return a record id that was never used before."""
    return os.urandom(ID_BYTES)


def new_secret() -> bytes:
    """Return a secret with 192 bits from the operating system's generator."""
    return os.urandom(SECRET_BYTES)


def hash_secret(name: str, secret: bytes) -> bytes:
    """Return what a store keeps of *secret* under the cookie *name*: 32 bytes.

    With the name in it, a token opens nothing as a cookie of another name that shares the store.
    """
    return sha256(b"%b\0%b" % (name.encode(), secret)).digest()


def encode(id: bytes, secret: bytes) -> str:
    """Return the token of *id* and *secret*."""
    return urlsafe_b64encode(id + secret).rstrip(b"=").decode("ascii")


def decode(token: str) -> tuple[bytes, bytes]:
    """Return (id, secret) of a string that has the form of a token."""
    raw = a2b_base64(token.replace("-", "+").replace("_", "/") + "==")
    return raw[:ID_BYTES], raw[ID_BYTES:]


def public_id(id: bytes) -> str:
    """Return the public form of a record id: 22 characters, no help in guessing the token."""
    return urlsafe_b64encode(id).rstrip(b"=").decode("ascii")


def record_id(public: str) -> bytes | None:
    """Return the record id whose public form is *public*; `None` for what is no such form."""
    if not _PUBLIC.fullmatch(public):
        return None
    return a2b_base64(public.replace("-", "+").replace("_", "/") + "==")
