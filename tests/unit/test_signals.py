"""Figures and events as OpenTelemetry's own SDK sees them, and none that nobody emits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pat_core.signals import METRICS, Event, Kind, Metric

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "function_app.py", *(ROOT / "pat_core").rglob("*.py")]
OURS = [path for path in SOURCES if path.name != "signals.py" and "local" not in path.parts]
CODE = "\n".join(path.read_text() for path in OURS)
# A provider is set once for a process, so that it has one of its own.
POINTS = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from pat_core.signals import METRICS
from pat_core.telemetry import OtelMeter

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
for metric in METRICS:
    for value in (2, 3):
        OtelMeter().record(metric, value, **dict.fromkeys(metric.attributes, "x"))
for resource in reader.get_metrics_data().resource_metrics:
    for scope in resource.scope_metrics:
        for each in scope.metrics:
            (point,) = each.data.data_points
            value = getattr(point, "value", None) or point.sum
            print(scope.scope.name, each.name, each.unit, value, *point.attributes)
"""


def test_each_arrives_by_its_name_unit_and_attributes() -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", POINTS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    expected = [
        f"pat_warden {each.name} {each.unit} {3 if each.kind is Kind.GAUGE else 5} "
        + " ".join(each.attributes)
        for each in METRICS
    ]
    assert sorted(done.stdout.splitlines()) == sorted(line.rstrip() for line in expected)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_none_has_its_unit_in_its_name_and_none_tells_on_people(metric: Metric) -> None:
    assert re.fullmatch(r"pat(\.[a-z_]+)+", metric.name)
    assert not metric.name.endswith(("seconds", "_s", "count_total"))
    assert set(metric.attributes) <= {"organization", "outcome", "window", "channel", "action"}


def test_each_event_and_each_metric_is_emitted_somewhere() -> None:
    for event in Event:
        assert f"Event.{event.name}" in CODE, event
    names = re.findall(r"\.record\(\s*([A-Z_]+)", CODE)
    assert len(set(names)) == len(METRICS)


def test_no_event_is_logged_by_a_name_that_is_not_listed() -> None:
    logged = re.findall(r"_LOG\.\w+\(\s*([^,)\s]+)", CODE)
    assert logged
    assert [each for each in logged if not each.startswith("Event.")] == []
