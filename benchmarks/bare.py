"""`python -m benchmarks.bare PORT`: the least that Tornado serves, to compare `main.py` with."""

import asyncio
import sys

import tornado.web


class Health(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write("ok")


async def main() -> None:
    """Serve until the process is ended."""
    tornado.web.Application([("/healthz", Health)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
