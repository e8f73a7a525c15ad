"""The Celery side: recipes go on by the clock."""

from celery import shared_task

from training.recipes import services


@shared_task
def look() -> None:
    services.look()
