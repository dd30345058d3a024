"""A real browser for tests: Chromium without a window, whose page does what the test says.

Each HTML page of the site under test has a script that posts what it found to `/report` and is
answered the next script to run, until there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tornado.web import RequestHandler
from tornado.websocket import websocket_connect

from app import Route
from tests.helpers.servers import Server, find
from tests.helpers.site import Site

PATIENCE = 20.0
"""Seconds for a page to report."""

TIMEOUT = 60.0
"""Seconds for a whole test, in which a browser has to start."""

_HTML = """<!DOCTYPE html><title>test</title><link rel=icon href="data:,"><body>{text}<script>
const forever = new Promise(() => {{}});
async function report(found) {{
  const options = {{method: "POST", body: JSON.stringify(found ?? null)}};
  return (await fetch("/report", options)).text();
}}
async function run(script) {{
  try {{
    return await new (async () => {{}}).constructor(script)();
  }} catch (error) {{
    return {{error: String(error)}};
  }}
}}
(async () => {{
  let script = await report({{path: location.pathname, text: document.body.innerText.trim()}});
  while (script) script = await report(await run(script));
}})();
</script>"""


class Chromium(Server):
    """The browser as a process, with its profile (cookies, caches) in *folder*."""

    def command(self) -> Sequence[str | Path]:
        program = find("chromium")
        assert program is not None, "ask missing('chromium') first"
        self._devtools.unlink(missing_ok=True)
        return [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-popup-blocking", "--password-store=basic"),
            *("--ignore-certificate-errors", "--remote-debugging-port=0"),
            *(f"--user-data-dir={self._devtools.parent}", "about:blank"),
        ]

    @property
    def _devtools(self) -> Path:
        """Where the browser writes on which port and path it takes commands."""
        return self.folder / "profile" / "DevToolsActivePort"

    @property
    def url(self) -> str:
        """The WebSocket that takes commands (Chrome DevTools Protocol)."""
        port, path = self._devtools.read_text().split("\n")
        return f"ws://127.0.0.1:{port}{path}"

    def is_ready(self) -> bool:
        return bool(self.url)

    async def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give the browser one command and return its result."""
        async with asyncio.timeout(PATIENCE):
            socket = await websocket_connect(self.url)
            await socket.write_message(
                json.dumps({"id": 1, "method": method, "params": parameters})
            )
            answer = json.loads(await socket.read_message() or "{}")
            socket.close()
        assert "result" in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result

    async def quit(self) -> None:
        """End it as its user would; on SIGTERM it does not write its cookies to the disk."""
        process = self.process
        assert process is not None
        await self.tell("Browser.close")
        await asyncio.to_thread(process.wait, PATIENCE)
        self.stop()


class Tab:
    """The page that the browser shows; what it reports and what it is to do."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.reports: asyncio.Queue[Any] = asyncio.Queue()
        self.scripts: asyncio.Queue[str] = asyncio.Queue()

    async def run(self, script: str) -> Any:
        """Run the body of an asynchronous JavaScript function; return what it returns."""
        self.scripts.put_nowait(script)
        return await self.report()

    async def leave(self, script: str) -> Any:
        """Run a script that opens another page here; return that page's `path` and `text`."""
        return await self.run(f"{script}; return forever")

    async def open(self, host: str, path: str) -> Any:
        """Follow a link to a page of the site under the name *host*; return what it is."""
        return await self.leave(f"location = {json.dumps(address(self.site, host, path))}")

    async def fetch(self, path: str) -> str:
        """Have the page fetch *path* from its own origin, which must answer 200."""
        text: str = await self.run(
            f"const answer = await fetch({json.dumps(path)});"
            "if (answer.status !== 200) throw answer.status;"
            "return answer.text()"
        )
        return text

    async def report(self) -> Any:
        """Return what the page reports next; an error in a script is one here."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self.reports.get()
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE} s for the page to report") from None
        if isinstance(found, dict) and "error" in found:
            raise AssertionError(found["error"])
        return found


class Scripted(RequestHandler):
    """What HTML pages derive from; by itself an empty page, which runs scripts."""

    def get(self) -> None:
        self.write_page("")

    def write_page(self, text: str) -> None:
        """Write an HTML page that shows *text*."""
        self.write(_HTML.format(text=html.escape(text)))


class _Report(RequestHandler):
    """Takes what a page reports and answers its next script, when the test has one."""

    async def post(self) -> None:
        tab: Tab = self.settings["tab"]
        tab.reports.put_nowait(json.loads(self.request.body))
        self.write(await tab.scripts.get())


class _SentCookies(RequestHandler):
    """Answers the `Cookie` header: what the browser has in its jar for this page."""

    def get(self) -> None:
        self.write(self.request.headers.get("Cookie", ""))


PAGES = (
    Route("", Scripted),
    Route("report", _Report),
    Route("sent-cookies", _SentCookies),
)
"""What a site has beside its own pages for `browse`."""


def address(site: Site, host: str, path: str = "/") -> str:
    """Return the address of a page of *site*, which is another one to a browser for each host."""
    return site.url.replace("127.0.0.1", host) + path


@contextlib.asynccontextmanager
async def browse(chromium: Chromium, site: Site, *, own_jar: bool = True) -> AsyncIterator[Tab]:
    """Open the empty page of *site*, which has `PAGES`, at localhost; close it afterwards.

    It has a cookie jar of its own (an incognito window), or else that of the profile.
    """
    tab = site.application.settings["tab"] = Tab(site)
    window = await chromium.tell("Target.createBrowserContext") if own_jar else {}
    try:
        await chromium.tell("Target.createTarget", url=address(site, "localhost"), **window)
        opened = await tab.report()
        assert opened == {"path": "/", "text": ""}, opened
        yield tab
    finally:
        tab.scripts.put_nowait("")
        if own_jar:
            await chromium.tell("Target.disposeBrowserContext", **window)
