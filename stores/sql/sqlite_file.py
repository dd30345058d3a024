"""SQLite's file."""

from __future__ import annotations

import os
from pathlib import Path

from stores.contract import ConfigurationError


class WatchedFile:
    """A file that somebody may remove or replace while connections have it open.

    SQLite goes on writing into what has no name any more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: object = None

    def make(self) -> None:
        """Make the file unless it exists, and remember which it is. Raises `ConfigurationError`."""
        make_file(self._path)
        self._identity = self._look()

    def is_another(self) -> bool:
        """Tell whether the file is no more the one that was remembered."""
        return self._look() != self._identity

    def _look(self) -> object:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        except OSError:
            return self._identity  # which SQLite will tell of, or not
        return found.st_dev, found.st_ino


def make_file(file: Path) -> None:
    """Make *file* unless it exists, readable by its owner alone. Raises `ConfigurationError`."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except FileNotFoundError:
        raise ConfigurationError(
            f"the directory of the SQLite file does not exist: {file.parent}"
        ) from None
    except OSError as error:
        if not file.is_file():
            raise ConfigurationError(
                f"cannot make the SQLite file {file}: {error.strerror}"
            ) from None
