"""What a driver's error is for whoever reads the log: what is wrong and the mend, and no value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from stores.contract import StoreUnavailable


@contextmanager
def explained() -> Iterator[None]:
    """Turn PyMongo's errors into `StoreUnavailable`."""
    try:
        yield
    except OperationFailure as error:
        # The server's message may quote the document; its code's name does not.
        details = error.details or {}
        what = details.get("codeName") or f"code {error.code}"
        raise StoreUnavailable(f"MongoDB refused: {what}") from None
    except PyMongoError as error:
        what = "does not answer" if isinstance(error, ConnectionFailure) else "failed"
        raise StoreUnavailable(f"MongoDB {what} ({type(error).__name__})") from None
