"""SQLite's file."""

from __future__ import annotations

import os
from pathlib import Path

from stores.contract import ConfigurationError


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
