"""The product's settings with a reaper that is quicker, for tests that kill real workers."""

from webapp.settings import *  # noqa: F403

JOB_STALE_SECONDS = 6
JOB_MAX_CRASHES = 10  # a machine that stands still for so long looks like a crash
CELERY_BEAT_SCHEDULE = {"reap": {"task": "webapp.jobs.tasks.reap", "schedule": 1.0}}
