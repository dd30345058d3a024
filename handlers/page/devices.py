"""The forms that end a session on another device; their group takes signed-in users only."""

from __future__ import annotations

from datetime import timedelta

from handlers.page.account import sign_out
from handlers.page.base import PageHandler

FRESH = timedelta(minutes=5)
"""How old the proof of who the user is may be, to end all other devices."""


class EndDevice(PageHandler):
    """Ends one session of the user, by its public id."""

    async def post(self) -> None:
        id = self.get_body_argument("id", "")
        if id == self.session.id:
            sign_out(self)
        else:
            if await self.session.sign_out_device(id):
                self.session.flash("That device is signed out.", "success")
            else:
                self.session.flash("That device was signed out already.")
            self.to_page("#devices")


class EndOthers(PageHandler):
    """Ends all other sessions of the user; this one gets a new token."""

    async def post(self) -> None:
        count = await self.session.sign_out_others()
        what = "1 other device is" if count == 1 else f"{count} other devices are"
        self.session.flash(f"{what} signed out, and this one has a new token.", "success")
        self.to_page("#devices")
