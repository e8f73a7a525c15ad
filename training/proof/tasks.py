"""The Celery side: proofs go on by the clock."""

from celery import shared_task

from training.proof import services


@shared_task
def look() -> None:
    services.look()
