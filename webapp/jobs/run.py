"""Run a job that needs the database, in a process of its own: `python -m webapp.jobs.run FOLDER`."""

import os
import sys
from pathlib import Path
from typing import Any


def main(folder: str) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    import django

    django.setup()
    from webapp.jobs.folder import JobError, JobRun, run_job
    from webapp.jobs.kinds import kind_of
    from webapp.jobs.models import Job

    def work(run: JobRun) -> dict[str, Any]:
        job = Job.objects.get(uid=run.folder.name)
        task = kind_of(job).work
        if task is None:
            raise JobError(f"Jobs of the kind {job.kind} are not run by this program.")
        return task(run, job)

    return run_job(Path(folder), work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
