"""The page's stylesheet, script and icons."""

from __future__ import annotations

from pathlib import Path

from tornado.web import HTTPError, StaticFileHandler

FILES = str(Path(__file__).parent / "files")

NAMES = {file.name for file in Path(FILES).iterdir()}


class File(StaticFileHandler):
    """A file of the page; a browser asks each time whether it is still the same."""

    logs_success = False

    def prepare(self) -> None:
        if self.path_kwargs.get("path", "favicon.ico") not in NAMES:
            raise HTTPError(404)  # Tornado answers 500 to a name that no file can have

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Content-Type-Options", "nosniff")


class Favicon(File):
    """What browsers ask for by themselves, whatever the page says."""

    async def get(self, path: str = "favicon.ico", include_body: bool = True) -> None:
        await super().get(path, include_body)

    async def head(self, path: str = "favicon.ico") -> None:
        await super().get(path, include_body=False)
