"""`python -m benchmarks.bare PORT [PROCESSES [LOOP]]`: the least that Tornado serves, to compare
`main.py` with.
"""

import asyncio
import os
import sys

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes

from app.loops import loop_factory


class Health(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write("ok")


def main(port: str, processes: str = "1", loop: str = "asyncio") -> None:
    """Serve until the process is ended; its children end with it."""
    sockets = bind_sockets(int(port), "127.0.0.1")
    ended, alive = os.pipe()
    if processes != "1":
        fork_processes(int(processes))  # returns in each child
        os.close(alive)  # the parent has the other one

    async def serve() -> None:
        HTTPServer(tornado.web.Application([("/healthz", Health)])).add_sockets(sockets)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(ended, stop.set)
        await stop.wait()

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
