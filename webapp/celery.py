"""The Celery application: `celery -A webapp.celery worker -Q default` or `-Q gpu`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")

app = Celery("editloop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["webapp.jobs", "webapp.hooks", "scoring", "training.recipes", "training.proof", "training.editor_benchmarks"]
)
