"""The forms that sign in and out. It is an example: nobody is asked for a password."""

from __future__ import annotations

from typing import cast

from app import Application
from handlers.page.base import PageHandler, Refused
from handlers.page.live import Live
from handlers.page.words import short
from handlers.sessions import DeleteSession, GetName, SetName

MAX_LABEL = 60
"""Characters of a device's label."""

OWN = (PageHandler, Live, GetName, SetName, DeleteSession)
"""Handlers that open nothing to a user that was not open before."""


class SignIn(PageHandler):
    """Signs in as anybody; an application would check a password first."""

    def post(self) -> None:
        refuse_beside_others(self)
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
        sign_out(self)


class Confirm(PageHandler):
    """Takes the button's word that it is the user; an application would ask for the password."""

    def post(self) -> None:
        refuse_beside_others(self)
        self.session.confirm()
        self.session.flash("Confirmed: it is you, under a new token.", "success")
        self.to_page("#account")


def refuse_beside_others(handler: PageHandler) -> None:
    """Raise `Refused` where the application has handlers of its own with these sessions."""
    if opens_other_pages(handler):
        raise Refused(
            "This application has other pages that know who is signed in, "
            "and the example must not open them to anybody."
        )


def opens_other_pages(handler: PageHandler) -> bool:
    """Tell whether who signs in here is somebody to other handlers, too.

    A handler may look at the user by itself, so each that has these sessions counts.
    """
    assert handler.session_policy is not None
    manager = handler.session_policy.manager
    return any(
        endpoint.policy.manager is manager and not issubclass(endpoint.route.handler, OWN)
        for endpoint in cast(Application, handler.application).endpoints
    )


def sign_out(handler: PageHandler) -> None:
    """End the session and answer the form."""
    handler.session.destroy()
    handler.to_page("?ended")
