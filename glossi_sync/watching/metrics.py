"""What a monitor is told: Prometheus metrics, and the health of the watch, over HTTP.

``/metrics``, ``/healthz`` (the process lives) and ``/readyz`` (its last run did not fail; 503 otherwise).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from glossi_sync.errors import UserError
from glossi_sync.watching.loop import Came

MISSING = "metrics need the package prometheus-client: pip install 'glossi-sync[watch]'"

READY = frozenset({Came.CONVERGED, Came.SETTLED, Came.PARTLY, Came.NOT_STILL})


class CannotMeasure(UserError):
    """There can be no metrics here; the message says why."""


class Metrics:
    """The figures of one watch.

    Raises:
        CannotMeasure: prometheus-client is not installed.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge  # noqa: PLC0415
        except ImportError:
            raise CannotMeasure(MISSING) from None
        self.registry = CollectorRegistry()
        self.ready = False
        self._runs = Counter("glossi_sync_runs", "Runs, by what came of them.", ["outcome"], registry=self.registry)
        self._failures = Counter("glossi_sync_failures", "Runs that failed as a whole.", registry=self.registry)
        self._seconds = Gauge("glossi_sync_last_run_seconds", "How long the last run took.", registry=self.registry)
        self._success = Gauge(
            "glossi_sync_last_success_timestamp_seconds", "When a run last converged.", registry=self.registry
        )
        self._addresses = Gauge(
            "glossi_sync_addresses", "Addresses, by kind and phase.", ["kind", "phase"], registry=self.registry
        )
        self._calls = Counter("glossi_sync_calls", "Requests to the service.", ["call"], registry=self.registry)
        self._files = Counter("glossi_sync_files", "Finished files brought home.", registry=self.registry)
        self._deliveries = Counter(
            "glossi_sync_deliveries", "Webhook deliveries, by answer.", ["status"], registry=self.registry
        )
        for came in Came:
            if came is not Came.NOT_STILL:
                self._runs.labels(came.value)

    def ran(self, came: Came, seconds: float, now: float) -> None:
        """A run has ended; ``now`` in Unix seconds."""
        self.ready = came in READY
        if came is Came.NOT_STILL:
            return
        self._runs.labels(came.value).inc()
        self._seconds.set(seconds)
        if came in (Came.FAILED, Came.BAD_SPEC):
            self._failures.inc()
        if came is Came.CONVERGED:
            self._success.set(now)

    def holds(self, addresses: Mapping[tuple[str, str], int]) -> None:
        """How many addresses there are now, by kind and phase."""
        self._addresses.clear()
        for (kind, phase), count in addresses.items():
            self._addresses.labels(kind, phase).set(count)

    def asked(self, calls: Mapping[str, int], files: int) -> None:
        """So many requests were sent, and files brought home."""
        for call, count in calls.items():
            self._calls.labels(call).inc(count)
        self._files.inc(files)

    def delivered(self, status: int) -> None:
        """A webhook delivery was answered."""
        self._deliveries.labels(str(status)).inc()


@contextmanager
def serving(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serve the metrics and the probes while the block runs; answers the port.

    Raises:
        OSError: the address cannot be listened on.
    """
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

    class Answer(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._send(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
                case "/healthz":
                    self._send(200, "text/plain", b"alive\n")
                case "/readyz":
                    ready = metrics.ready
                    self._send(200 if ready else 503, "text/plain", b"ready\n" if ready else b"not ready\n")
                case _:
                    self._send(404, "text/plain", b"there is /metrics, /healthz and /readyz\n")

        def _send(self, status: int, content_type: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds: they are not worth a line."""

    server = ThreadingHTTPServer((host, port), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
