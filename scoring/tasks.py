"""The Celery side: what happens by the clock."""

from celery import shared_task

from scoring.calibration import drift


@shared_task
def check_drift() -> None:
    drift.check_all()
