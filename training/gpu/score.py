"""Jobs of the kind "score" whose judge is a model on this machine: see scoring/judging/loop.py.

The job's config: {"judge": {"kind": a module of training/gpu/judges, "settings": {…}}, "most_cost": None}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scoring.judging import loop
from scoring.judging.contract import Judge, JudgeError
from webapp.jobs.folder import JobRun


def score(run: JobRun) -> dict[str, Any]:
    """Raises JobError and JobStopped as the loop does."""
    return loop.score(run, load)


def load(judge: Mapping[str, Any]) -> Judge:
    """Raises JudgeError for a judge that there is not, and settings that it does not know."""
    from training.gpu.judges import load_judge  # with its models' libraries, which no other kind of job needs

    settings = judge.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise JudgeError("The judge's settings must be a JSON object.")
    loaded: Judge = load_judge(judge.get("kind"), settings)
    return loaded
