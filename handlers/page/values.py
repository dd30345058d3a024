"""The forms that set and remove a value of the session."""

from __future__ import annotations

import json

from handlers.page.base import SENTENCES, PageHandler, Refused
from handlers.page.words import short


class SetValue(PageHandler):
    """Keeps a text under a name."""

    def post(self) -> None:
        name = self.get_body_argument("name", "")
        if not name:
            raise Refused("A value needs a name. Nothing was changed.")
        try:
            self.session[name] = self.get_body_argument("value", "")
        except ValueError:
            raise Refused(f"The name {short(name)} is kept for messages. Take another.") from None
        self.session.flash(f"Set {short(name)}.", "success")
        self.to_page("#values")


class RemoveValue(PageHandler):
    """Removes what is kept under a name, which comes as JSON: a form changes control characters."""

    def post(self) -> None:
        try:
            name = json.loads(self.get_body_argument("name", ""))
        except (ValueError, RecursionError):  # the latter of JSON that is nested without end
            raise Refused(SENTENCES[400]) from None
        if name in list(self.session):
            del self.session[name]
            self.session.flash(f"Removed {short(name)}.", "success")
        else:
            self.session.flash("It was removed already.")
        self.to_page("#values")
