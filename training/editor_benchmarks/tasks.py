"""The Celery side: benchmarks that are being filled go on by the clock."""

from celery import shared_task

from training.editor_benchmarks import filling


@shared_task
def look() -> None:
    filling.look()
