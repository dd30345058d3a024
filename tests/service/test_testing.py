"""`app.testing`, what users' own tests have: a site, browsers with a jar, a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from app import Config, Cookie, Group, Route, SessionManager, make_app
from app.testing import Clock, Site
from stores import MemoryStore
from stores.contract import Record
from tests.helpers.pages import Page


class Form(Page):
    """Keeps what is posted, and shows it to its user."""

    def get(self) -> None:
        self.write(f"{self.current_user}: {dict(self.session)}")

    def post(self) -> None:
        self.session["item"] = self.get_body_argument("item")


def a_manager(name: str, clock: Clock) -> SessionManager:
    return SessionManager(MemoryStore(), cookie=Cookie(name), clock=clock)


@pytest.mark.gen_test
async def test_browsers_have_jars_of_their_own_and_time_passes() -> None:
    clock = Clock()
    config = Config(Group("/", Route("", Form), sessions=True), a_manager("a", clock))
    async with Site(config) as site:
        one, other = site.browser(), site.browser()
        await one.post("/", form={"item": "ä & <b>"})
        assert await one.text("/") == "None: {'item': 'ä & <b>'}"
        assert await other.text("/") == "None: {}"
        await one.sign_in("ada")
        assert await one.text("/") == "ada: {'item': 'ä & <b>'}"
        clock.advance(24 * 3600)
        assert await one.text("/") == "None: {}"


@pytest.mark.gen_test
async def test_an_answer_that_is_none_is_told_with_its_body() -> None:
    config = Config(Group("/", Route("", Form), sessions=True), a_manager("a", Clock()))
    async with Site(make_app(config)) as site:
        with pytest.raises(AssertionError, match=r"/none was answered 404: .*Not Found"):
            await site.browser().text("/none")


@pytest.mark.gen_test
async def test_of_several_managers_one_is_named_to_sign_in() -> None:
    a, b = a_manager("a", Clock()), a_manager("b", Clock())
    routes = Group("/", Route("", Form), Group("b", Route("", Form), sessions=b), sessions=True)
    async with Site(Config(routes, a)) as site:
        browser = site.browser()
        with pytest.raises(ValueError, match=r"2 session managers: write sign_in\(user, manager\)"):
            await browser.sign_in("ada")
        await browser.sign_in("ada", b)
        assert [await browser.text(path) for path in ("/", "/b")] == ["None: {}", "ada: {}"]


@pytest.mark.gen_test
async def test_a_sign_in_that_brings_no_cookie_is_told() -> None:
    class Ending(MemoryStore):
        """Another request ends each session as soon as it is written."""

        async def load(self, ids: Sequence[bytes]) -> Mapping[bytes, Record]:
            found = await super().load(ids)
            return {id: record for id, record in found.items() if record.user is None}

    routes = Group("/", Route("", Form), sessions=True)
    async with Site(Config(routes, SessionManager(Ending()))) as site:
        with pytest.raises(RuntimeError, match=r"sign_in\('ada'\) got no cookie: another sign-in"):
            await site.browser().sign_in("ada")
