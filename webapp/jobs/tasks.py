"""The Celery side: tasks that load a row and call a service, and the worker's own sign of life."""

from typing import Any

from celery import Task, shared_task
from celery.signals import heartbeat_sent, worker_ready, worker_shutting_down

from webapp.jobs import presence, services, supervisor


@shared_task(bind=True)
def run_job(self: Task, uid: str) -> None:
    if supervisor.stopping.is_set():  # this worker is leaving; another one must have the job
        services.pass_on(uid=uid)
        return
    job = services.take(uid=uid, worker=self.request.hostname or "")
    if job is not None:
        supervisor.supervise(job)
        if job.parent:
            services.pass_on(uid=uid)


@shared_task
def reap() -> None:
    services.reap()


@worker_ready.connect
def _ready(sender: Any, **_kwargs: Any) -> None:
    _renew(sender.controller.app.amqp.queues.consume_from, sender.hostname)


@heartbeat_sent.connect
def _heartbeat(sender: Any, **_kwargs: Any) -> None:
    _renew(sender.eventer.app.amqp.queues.consume_from, sender.eventer.hostname)


@worker_shutting_down.connect
def _shutting_down(**_kwargs: Any) -> None:
    supervisor.stopping.set()


def _renew(queues: Any, hostname: str) -> None:
    for queue in queues:
        presence.renew(queue, hostname)
