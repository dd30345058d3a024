"""The page's routes: one group, which `configure.py` lists by one line."""

from __future__ import annotations

from app import Group, Route
from handlers.page.account import Confirm, SignIn, SignOut
from handlers.page.devices import FRESH, EndDevice, EndOthers
from handlers.page.files import FILES, Favicon, File
from handlers.page.live import Live
from handlers.page.overview import Overview
from handlers.page.values import RemoveValue, SetValue

PAGE = Group(
    "",
    Route("favicon.ico", Favicon, kwargs={"path": FILES}),
    Route("page/files/<path>", File, name="page-file", kwargs={"path": FILES}),
    Group(
        "",
        Route("", Overview, name="page"),
        Route("page/set", SetValue, name="page-set"),
        Route("page/remove", RemoveValue, name="page-remove"),
        Route("page/sign-in", SignIn, name="page-sign-in"),
        Route("page/sign-out", SignOut, name="page-sign-out"),
        Route("page/confirm", Confirm, name="page-confirm"),
        Route("page/live", Live, name="page-live"),
        Group(
            "page/devices",
            Route("end", EndDevice, name="page-end"),
            Group("", Route("end-others", EndOthers, name="page-end-others"), fresh=FRESH),
            authenticated=True,
        ),
        sessions=True,
    ),
)
