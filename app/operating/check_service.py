"""What the options and the cookies have that would keep the service from serving well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import app.service_options  # noqa: F401 - declares the options
from app.operating.sites import Site
from app.option_values import Origins
from app.options import dashed, options

BEST_PREFIX = "__Host-"
"""No other host, and nothing without TLS, can set a cookie of such a name."""


def flaws_of_options(origins: Origins, sites: Sequence[Site]) -> Iterator[str]:
    """Yield what is wrong with the options, as a sentence each."""
    for site in sites:
        if not site.store.shared and options.processes != 1:
            yield (
                f"{origins.shown('processes')} needs a store that processes share, but with "
                f"{site.store.name} each has sessions of its own"
            )


def flaws_of_cookies(site: Site) -> Iterator[str]:
    """Yield what a cookie lacks where clients come over TLS."""
    over_tls = [name for name in ("tls_cert", "xheaders", "trusted_proxies") if options[name]]
    if not over_tls:
        return
    because = f"with --{dashed(over_tls[0])}, clients come over TLS"
    for manager in site.managers:
        cookie = manager.cookie
        if cookie.secure is False:
            yield (
                f"cookie {cookie.name}: {because}, but secure=False lets browsers send it in plain "
                "text as well; leave secure out"
            )
        elif not cookie.name.startswith(BEST_PREFIX):
            mend = f"name it {BEST_PREFIX}{cookie.name}"
            if cookie.domain is not None or cookie.path != "/":
                mend += ", without domain and path"
            yield (
                f"cookie {cookie.name}: {because}, but a neighbouring host can plant a cookie of "
                f"this name; {mend} (each user signs in once more then)"
            )
