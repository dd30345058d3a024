"""Who the user of a handler is: which class says it, and what nobody may take for a user."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any, NoReturn

from tornado import gen
from tornado.web import RequestHandler

from app.sessions.session import Session
from app.sessions.working_copy import life_of, state_of

NOT_ITS_OWN = ("app.mixin", "tornado.web")
"""Modules whose classes know no user by themselves."""


def knows_its_user(handler: type[RequestHandler]) -> bool:
    """Tell whether *handler* says by a method or property of its own who its user is."""
    return any(_is_own(base) for base in handler.__mro__)


def _is_own(base: type) -> bool:
    if base.__module__ in NOT_ITS_OWN:
        return False
    return "get_current_user" in vars(base) or user_property(base) is not None


def user_property(base: type) -> Any:
    """Return the `current_user` that the class *base* computes itself, or `None`."""
    found = vars(base).get("current_user")
    return found if hasattr(found, "__get__") else None


def property_behind(handler: type, mixin: type) -> Any:
    """Return the `current_user` of a class behind *mixin* in *handler*, unless it is Tornado's."""
    order = handler.__mro__
    for base in order[order.index(mixin) + 1 :]:
        if (found := user_property(base)) is not None:
            return None if base is RequestHandler else found
    return None


def asynchronous(handler: type[RequestHandler]) -> str | None:
    """Return the coroutine function by which *handler* would say who its user is, or `None`."""
    for name in ("current_user", "get_current_user"):  # the property is what is asked
        for base in handler.__mro__:
            found = vars(base).get(name)
            if base.__module__ in NOT_ITS_OWN or not hasattr(found, "__get__"):
                continue
            function = getattr(found, "fget", None) or getattr(found, "__func__", found)
            is_coroutine = inspect.iscoroutinefunction(function)
            if is_coroutine or gen.is_coroutine_function(function):
                return f"{base.__qualname__}.{name}"
            return None
    return None


def refuse_awaitable(handler: RequestHandler, user: Awaitable[Any]) -> NoReturn:
    """Raise for *user*, which is true whoever the client is."""
    if inspect.iscoroutine(user):
        user.close()  # else Python warns that nobody awaited it
    raise TypeError(
        f"{type(handler).__qualname__} has an awaitable ({type(user).__name__}) for its current "
        "user, which Tornado does not await, so that everybody would be a user; make its "
        "get_current_user a plain method"
    )


class Identity:
    """The user that was found under one state of the session."""

    def __init__(self, session: Session | None, user: Any) -> None:
        self.user = user
        self._state = self._look(session)

    def holds(self, session: Session | None) -> bool:
        """Tell whether the session is still as it was."""
        return self._state == self._look(session)

    @staticmethod
    def _look(session: Session | None) -> object:
        return None if session is None else state_of(session)


class Assigned(Identity):
    """A user that the handler assigned: for as long as the session is the same user's."""

    @staticmethod
    def _look(session: Session | None) -> object:
        return (None, 0) if session is None else life_of(session)
