"""Figures for Prometheus, read from the database at each scrape: right however many processes serve."""

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

from annotation.models import Assignment, Event, Judgement
from webapp.jobs import kinds, presence
from webapp.jobs.models import Job

__all__ = ["CONTENT_TYPE", "text"]


class _Collector:
    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("editloop_jobs", "Jobs by queue and state", labels=["queue", "state"])
        for row in Job.objects.values("queue", "state").annotate(count=Count("id")).order_by():
            jobs.add_metric([row["queue"], row["state"]], row["count"])
        yield jobs
        workers = GaugeMetricFamily("editloop_workers", "Workers alive by queue", labels=["queue"])
        for queue in (kinds.DEFAULT, kinds.GPU):
            workers.add_metric([queue], len(presence.workers(queue) or []))
        yield workers
        yield GaugeMetricFamily("editloop_judgements", "Judgements stored", value=Judgement.objects.count())
        yield GaugeMetricFamily("editloop_events", "Annotation events stored", value=Event.objects.count())
        leased = Assignment.objects.filter(state=Assignment.State.LEASED).count()
        yield GaugeMetricFamily("editloop_leases", "Items in annotators' hands", value=leased)


def text() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return generate_latest(registry)
