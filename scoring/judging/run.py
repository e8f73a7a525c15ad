"""``python -m scoring.judging.run JOBDIR``: a scoring job whose judge needs no model on this machine, and exit.

Runs by hand, under a worker, in another environment or on another host: it needs the folder, and for an endpoint its
address and key in the environment (webapp/endpoints/http.py). Judges that are models run by training.gpu.run.
Exit status 0: done or stopped on request (result.json says which); 1: failed (result.json says why); 2: wrong call.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.judging.contract import Judge, JudgeError
from scoring.judging.endpoint import EndpointJudge
from scoring.judging.loop import score
from scoring.judging.replay import ReplayJudge
from webapp.endpoints.errors import EndpointError
from webapp.endpoints.http import CHAT, endpoint_named
from webapp.jobs.folder import JobError, JobRun, run_job

KINDS = ("score-service", "score")
JUDGES = ("endpoint", "replay")


def load(run: JobRun, judge: Mapping[str, Any]) -> Judge:
    """{"kind": "endpoint", "endpoint": slug, "settings": {…}} or {"kind": "replay", "file": path, also relative to the
    job folder}. Raises JudgeError."""
    kind = judge.get("kind")
    if kind == "endpoint":
        return _endpoint(run, judge)
    if kind == "replay" and isinstance(judge.get("file"), str):
        return ReplayJudge(run.folder / judge["file"])
    raise JudgeError(f"This program knows no judge {kind!r} with these settings, only: {', '.join(JUDGES)}.")


def _endpoint(run: JobRun, judge: Mapping[str, Any]) -> EndpointJudge:
    settings = judge.get("settings") or {}
    if not isinstance(judge.get("endpoint"), str) or not isinstance(settings, Mapping):
        raise JudgeError("Name the judge's endpoint: its short name on the page Endpoints.")
    try:
        endpoint = endpoint_named(judge["endpoint"], CHAT)
    except EndpointError as error:
        raise JudgeError(str(error)) from None
    if run.config.get("most_cost") is not None and endpoint.cost(tokens_in=0, tokens_out=0) is None:
        raise JudgeError(
            f"The costs of “{endpoint.slug}” are not known: give it prices of tokens, or leave out the spending limit."
        )
    return EndpointJudge(endpoint, settings)


def work(run: JobRun) -> dict[str, Any]:
    if run.kind not in KINDS:
        raise JobError(f"This program knows no job of the kind {run.kind!r}, only: {', '.join(KINDS)}.")
    return score(run, lambda judge: load(run, judge))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m scoring.judging.run JOBDIR (an existing job folder)", file=sys.stderr)
        return 2
    try:
        return run_job(Path(arguments[0]), work)
    except (JobError, KeyError, ValueError) as error:  # no readable job.json: there is no job to report on
        print(f"{arguments[0]}: this is not a job folder: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
