"""A window of Chromium that is looked at and typed into from outside: nothing is put into its page.

That is for pages whose Content-Security-Policy lets no other script run.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.helpers.chromium import PATIENCE, Chromium

KEYS = {"Tab": 9, "Enter": 13, " ": 32}
"""What keys are typed by their name, with the code that Chromium wants to have of them."""


class Window:
    """One tab, with a cookie jar of its own, by the Chrome DevTools Protocol."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._events: dict[str, list[Any]] = {}

    async def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give one command and return its result."""
        id = next(self._ids)
        async with asyncio.timeout(PATIENCE):
            await self._socket.write_message(
                json.dumps({"id": id, "method": method, "params": parameters})
            )
            while True:
                answer = json.loads(await self._socket.read_message() or "{}")
                if answer.get("id") == id:
                    break
                if answer.get("method") in self._events:
                    self._events[answer["method"]].append(answer["params"])
        assert "result" in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    def listen(self, event: str) -> list[dict[str, Any]]:
        """Return a list that gets what the browser tells of *event* from now on."""
        return self._events.setdefault(event, [])

    async def open(self, url: str) -> None:
        """Open the page at *url*, and return when it is there."""
        await self.leave(lambda: self.tell("Page.navigate", url=url))

    async def leave(self, way: Callable[[], Any]) -> None:
        """Go by *way* to another page (or the same one again), and return when it is there."""
        await self.run("window.isFormer = true")
        await way()
        await self.until("!window.isFormer && document.readyState === 'complete'")

    async def run(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, which the page need not allow."""
        found = await self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Return the value of *expression* when it is true."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(AssertionError):  # the page is being replaced
                    if value := await self.run(expression):
                        return value
                await asyncio.sleep(0.02)

    async def text(self, selector: str = "body") -> str:
        """Return what an element shows."""
        text: str = await self.run(f"document.querySelector({json.dumps(selector)}).innerText")
        return text

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press one of `KEYS`."""
        what = {"key": key, "code": "Space" if key == " " else key, "modifiers": 8 * shift}
        text = {"Enter": "\r", " ": " "}.get(key)
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            await self.tell(
                "Input.dispatchKeyEvent",
                type=kind,
                windowsVirtualKeyCode=KEYS[key],
                **what,
                **more,
            )

    async def type(self, text: str) -> None:
        """Type *text* where the focus is."""
        await self.tell("Input.insertText", text=text)

    async def resize(self, width: int, height: int, *, phone: bool = False, scale: int = 1) -> None:
        """Show the page on a screen of that size in CSS pixels."""
        await self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=phone,
        )

    async def prefer(self, **features: str) -> None:
        """Let the user prefer something: `prefers_color_scheme="dark"`."""
        listed = [{"name": n.replace("_", "-"), "value": v} for n, v in features.items()]
        await self.tell("Emulation.setEmulatedMedia", features=listed)

    async def picture(self, *, whole: bool = False) -> bytes:
        """Return a PNG of what is seen, or of the *whole* page."""
        found = await self.tell("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])


@contextlib.asynccontextmanager
async def open_window(chromium: Chromium) -> AsyncIterator[Window]:
    """Open an empty window, like one on another device; close it afterwards."""
    jar = await chromium.tell("Target.createBrowserContext")
    try:
        target = await chromium.tell("Target.createTarget", url="about:blank", **jar)
        place = chromium.url.partition("/devtools/")[0]
        socket = await websocket_connect(f"{place}/devtools/page/{target['targetId']}")
        yield Window(socket)
        socket.close()
    finally:
        await chromium.tell("Target.disposeBrowserContext", **jar)
