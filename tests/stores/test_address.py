"""What every store's URL has in common."""

from __future__ import annotations

from stores.address import split_url
from stores.redis.url import read_url

URL = "rediss://ada:hunter2@[::1]:7000/3?ssl_cert_reqs=none"


def test_a_url_is_split_without_being_decoded() -> None:
    address = split_url(URL.replace("rediss", "REDISS").replace("hunter2", "hunter%402"))
    assert tuple(address) == (
        "rediss",
        "ada:hunter%402",
        "[::1]:7000",
        "/3",
        "ssl_cert_reqs=none",
    )


def test_no_repr_of_a_url_has_its_password() -> None:
    assert repr(split_url(URL)) == "<Address rediss://[::1]:7000/3>"
    assert repr(read_url(URL)) == "<RedisUrl rediss://[::1]:7000/3>"
