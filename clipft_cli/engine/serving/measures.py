"""What the service counts of itself, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Measures:
    """Requests to /predict by status, their seconds, how many are worked on, and the sizes of batches."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("clipft_requests", "Requests to /predict.", ["status"], registry=self._registry)
        self.seconds = Histogram("clipft_request_seconds", "Seconds of a request.", registry=self._registry)
        self.in_flight = Gauge("clipft_in_flight", "Requests that are worked on.", registry=self._registry)
        self.batches = Histogram(
            "clipft_batch_images", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=self._registry
        )

    def text(self) -> bytes:
        """In the format of Prometheus."""
        return generate_latest(self._registry)
