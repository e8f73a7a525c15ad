"""The product's settings with a reaper that is quicker, for tests that kill real workers."""

from webapp.settings import *  # noqa: F403

JOB_STALE_SECONDS = 6
CELERY_BEAT_SCHEDULE = {"reap": {"task": "webapp.jobs.tasks.reap", "schedule": 1.0}}
