"""The forms that sign in and out. It is an example: nobody is asked for a password."""

from __future__ import annotations

from typing import cast

from app import Application, Session
from handlers.page.base import PageHandler, Refused
from handlers.page.words import short

MAX_LABEL = 60
"""Characters of a device's label."""


class SignIn(PageHandler):
    """Signs in as anybody; an application would check a password first."""

    def post(self) -> None:
        if opens_other_pages(self):
            raise Refused(
                "This application has other pages for signed-in users, "
                "and the example must not open them to anybody."
            )
        user = self.get_body_argument("user", "")
        label = self.get_body_argument("label", "")
        if not user:
            raise Refused("Type any name to sign in.")
        if len(label) > MAX_LABEL:
            raise Refused(f"A label has at most {MAX_LABEL} characters.")
        remember = self.get_body_argument("remember", "") == "yes"
        try:
            self.session.sign_in(user, persistent=remember, label=label or None)
        except ValueError:
            raise Refused("A user's name has at most 255 characters.") from None
        self.session.flash(f"Signed in as {short(user)}, under a new token.", "success")
        self.to_page()


class SignOut(PageHandler):
    """Ends the session, and says so in the address: a message would begin a new session."""

    def post(self) -> None:
        sign_out(self, self.session)


class Confirm(PageHandler):
    """Takes the button's word that it is the user; an application would ask for the password."""

    def post(self) -> None:
        self.session.confirm()
        self.session.flash("Confirmed: it is you, under a new token.", "success")
        self.to_page("#account")


def opens_other_pages(handler: PageHandler) -> bool:
    """Tell whether who signs in here could come in where users only may, and not just here."""
    endpoints = cast(Application, handler.application).endpoints
    return any(
        endpoint.policy.authenticated and not issubclass(endpoint.route.handler, PageHandler)
        for endpoint in endpoints
    )


def sign_out(handler: PageHandler, session: Session) -> None:
    """End *session* and answer the form."""
    session.destroy()
    handler.to_page("?ended")
