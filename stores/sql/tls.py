"""Files of certificates, looked at when the store is made."""

from __future__ import annotations

import ssl

from stores.contract import ConfigurationError


def load_authorities(context: ssl.SSLContext, file: str, option: str) -> None:
    """Trust the authorities in *file*, which the URL's *option* names."""
    try:
        context.load_verify_locations(cafile=file)
    except OSError:
        raise ConfigurationError(
            f"the store's URL: the file of {option} is missing or holds no certificates"
        ) from None


def load_certificate(
    context: ssl.SSLContext,
    file: str,
    key: str | None,
    option: str,
    key_option: str,
    password: str | None = None,
) -> None:
    """Present the certificate in *file* to the server."""
    try:
        context.load_cert_chain(file, key, password or "")
    except OSError:
        raise ConfigurationError(
            f"the store's URL: the file of {option} or {key_option} is missing, holds no "
            "certificate or key, or the two do not belong together"
        ) from None
