"""Runs the `configure` function of a deployment, and tells what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.application import Config
from app.code_errors import BrokenCode, sentence
from app.option_values import Origins
from app.options import RecordedOptions, declared
from app.service_options import SESSION
from app.sessions.errors import ConfigurationError


def configured(
    configure: Callable[[RecordedOptions], Config],
    origins: Origins,
    settings: Mapping[str, Any],
) -> tuple[Config, list[str]]:
    """Return what *configure* makes of the options, and what it left unread although it was given.

    *settings* hold where its own say nothing. Raises `ConfigurationError`, which says where the
    options came from that *configure* has read, and `BrokenCode`.
    """
    given = RecordedOptions()
    try:
        config = configure(given)
        if not isinstance(config, Config):
            raise BrokenCode(f"configure() returned {type(config).__name__} in place of a Config")
        config = replace(config, settings={**settings, **config.settings})
        _ = config.endpoints  # compiled now, which finds the mistakes in the routes
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}{_sources(given, origins)}") from error
    except BrokenCode:
        raise
    except Exception as error:
        raise BrokenCode(sentence(error)) from error
    unread = [
        f"{value.label} is not used: configure() does not read options.{name.replace('-', '_')}"
        for name, value in origins.given.items()
        if declared()[name].group == SESSION and name not in given.read
    ]
    return config, unread


def _sources(given: RecordedOptions, origins: Origins) -> str:
    elsewhere = [
        f"--{name} from {value.origin}"
        for name, value in origins.given.items()
        if name in given.read and value.label != f"--{name}"
    ]
    return f" (configure() has {', '.join(elsewhere)})" if elsewhere else ""
