"""Answers scrapes: `/metrics` on sockets of its own, apart from the service's connections."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from tornado.web import RequestHandler

from app.application import Application, Config, make_app
from app.http_server import Server
from app.limits import Limits
from app.metrics.collector import ServiceCollector
from app.metrics.loop_lag import LoopLag
from app.metrics.records import RecordEstimates
from app.routing import Group, Route

LIMITS = Limits(max_body_size=1000, max_connections=16, bounded_by="--metrics-port (16 at most)")
"""What scrapers may take: fewer file descriptors than the service keeps free of its clients."""


class MetricsListener:
    """Answers scrapes of *application* on *sockets*, from the beginning until `stop`."""

    def __init__(self, application: Application, sockets: Sequence[socket.socket]) -> None:
        self._lag = LoopLag()
        self._estimates = estimates = RecordEstimates(application.managers)
        registry = CollectorRegistry()
        registry.register(ServiceCollector(application, lambda: self._lag.seconds, estimates.of))
        kwargs = {"registry": registry, "estimates": estimates}
        routes = Group("/", Route("metrics", Metrics, kwargs=kwargs))
        self._server = Server(make_app(Config(routes)), LIMITS)
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """Close the sockets and what is connected to them."""
        self._lag.stop()
        self._server.stop()
        await self._server.close_all_connections()
        await self._estimates.stop()


class Metrics(RequestHandler):
    """Answers with all metrics, in the text format or in OpenMetrics, as the scraper accepts."""

    logs_success = False

    def initialize(self, registry: CollectorRegistry, estimates: RecordEstimates) -> None:
        self._registry = registry
        self._estimates = estimates

    async def get(self) -> None:
        await self._estimates.refresh()
        encode, content_type = choose_encoder(self.request.headers.get("Accept", ""))
        self.set_header("Content-Type", content_type)
        self.write(encode(self._registry))

    head = get

    def compute_etag(self) -> None:
        """Return none, for it is another answer each time."""
