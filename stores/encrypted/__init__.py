"""Sealed values, in any other store."""

from stores.encrypted.keys import read_keys as read_keys
from stores.encrypted.store import EncryptedStore as EncryptedStore
