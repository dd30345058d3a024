"""The tree of routes: what a user declares, and each route with all that it inherits."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from tornado.routing import Rule
from tornado.web import RequestHandler

from app.binding import bind, methods_of
from app.paths import PathTemplate
from app.policy import SessionPolicy
from app.sessions.manager import SessionManager


@dataclass(frozen=True)
class Route:
    """A path and its handler: `Route("cart/<int:item>", Cart, name="item")`.

    *path* is relative to the group's; "" is the group's own. `<name>` takes one segment or a part
    of one, `<int:id>` and `<uuid:id>` convert, `<path:rest>` takes slashes as well. Each reaches
    the handler's method as a keyword argument. `(`, `:`, `*` and the like, where they would mean
    something in another notation, are written percent-encoded.
    *handler* is a subclass of `tornado.web.RequestHandler`.
    *name* is what `reverse_url` knows the route by.
    *kwargs* are the arguments of the handler's `initialize`.
    """

    path: str
    handler: type[RequestHandler]
    name: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class Group:
    """Routes and groups under one prefix, with flags that hold for all of them.

    ```
    Group("shop", Route("cart", Cart), Group("faq", Route("", Faq), sessions=False), sessions=True)
    ```

    A group inherits each flag that it does not give. The root inherits `False`.

    *prefix* is relative to the group above, and may have parameters.
    *children* are routes and groups. Of several routes that match, the first one is taken.
    *sessions*: `True` turns sessions on with the application's manager, `False` turns them off, a
    `SessionManager` turns them on with a manager and a cookie of this group's own.
    *read_only*: sessions are loaded, but never written or extended; an assignment raises.
    *authenticated*: the handlers run for a signed-in user only, with the mixin or without it.
    Nobody is sent to the setting `login_url`, or answered 401.
    *fresh*: besides, the user must have proved within that time who he is, by `session.sign_in` or
    `session.confirm`. It turns *authenticated* on, and needs sessions. `False` turns it off.
    """

    def __init__(
        self,
        prefix: str,
        *children: Route | Group,
        sessions: bool | SessionManager | None = None,
        read_only: bool | None = None,
        authenticated: bool | None = None,
        fresh: timedelta | Literal[False] | None = None,
    ) -> None:
        self.prefix = prefix
        self.children = children
        self.sessions = sessions
        self.read_only = read_only
        self.authenticated = authenticated
        self.fresh = fresh


@dataclass(frozen=True)
class Endpoint:
    """One route of the tree with everything that it inherits."""

    route: Route
    template: PathTemplate
    policy: SessionPolicy

    @property
    def path(self) -> str:
        return self.template.template

    @property
    def methods(self) -> list[str]:
        """The methods that the handler implements."""
        return methods_of(self.route.handler)

    @functools.cached_property
    def target(self) -> type[RequestHandler]:
        """The class that serves this route."""
        return bind(self.route.handler, self.policy, self.template.converters)

    @functools.cached_property
    def rule(self) -> Rule:
        """Tornado's rule for this route."""
        return Rule(self.template, self.target, dict(self.route.kwargs), self.route.name)
