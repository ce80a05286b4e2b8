"""Metrics by OpenTelemetry; where they go is set up by the Functions worker, or nowhere."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pat_core.signals import Kind, Metric

SCOPE: Final = "pat_warden"


class OtelMeter:
    """Records points. Implements the port Meter; without a provider it costs next to nothing."""

    def record(self, metric: Metric, value: float, **attributes: str) -> None:
        """Add to a counter, or set what was measured."""
        instrument = _instrument(metric)
        if metric.kind is Kind.COUNTER:
            instrument.add(value, attributes)
        elif metric.kind is Kind.HISTOGRAM:
            instrument.record(value, attributes)
        else:
            instrument.set(value, attributes)


@cache
def _instrument(metric: Metric) -> Any:  # noqa: ANN401 - three kinds without a common base
    # In Azure the worker has it loaded already; elsewhere the first point pays for it.
    from opentelemetry import metrics  # noqa: PLC0415 - said above

    meter = metrics.get_meter(SCOPE)
    if metric.kind is Kind.COUNTER:
        return meter.create_counter(metric.name, metric.unit, metric.about)
    if metric.kind is Kind.HISTOGRAM:
        return meter.create_histogram(metric.name, metric.unit, metric.about)
    return meter.create_gauge(metric.name, metric.unit, metric.about)
