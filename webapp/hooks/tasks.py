"""The Celery side: a worker sends what waits for a webhook; the clock wakes workers for what is due."""

from celery import shared_task

from webapp.hooks import sending


@shared_task
def send(uid: str) -> None:
    sending.send_due(uid)


@shared_task
def look() -> None:
    sending.look()


@shared_task
def forget() -> None:
    sending.forget()
