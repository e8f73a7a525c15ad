"""The triples of a calibration as CSV, in the form that ``manage.py stats correlate`` reads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from annotation.models import Candidate
from scoring.calibration.parts import DEV, HELD_OUT
from scoring.calibration.queries import notices
from scoring.calibration.triples import people_of
from scoring.models import Calibration, PromptVersion
from scoring.writers import csv_line

COLUMNS = ("item", "human", "scorer", "task", "source", "part", "ratings", "version", "judge", "notice")


def rows_of(calibration: Calibration, version: PromptVersion) -> Iterator[str]:
    """Line by line: every scored triple that may be shown. ``notice`` says on each what is demo or simulated."""
    people = people_of(calibration)
    scorer = people.scores_of(version, calibration.judge).value
    looked = calibration.looks.filter(version=version).exists()
    chosen = np.flatnonzero(np.isfinite(scorer) & (~people.held_out | looked))
    pks = people.candidates[chosen].tolist()
    known = Candidate.objects.filter(pk__in=pks).values_list("pk", "uid", "case__task", "case__source__sha256")
    about = {pk: (str(uid), task, sha256) for pk, uid, task, sha256 in known}
    notice = notices(calibration)
    yield csv_line(COLUMNS)
    for place, pk in zip(chosen, pks, strict=True):
        uid, task, source = about[pk]
        part = HELD_OUT if people.held_out[place] else DEV
        scores = (repr(float(people.human[place])), repr(float(scorer[place])))
        judge = calibration.judge.slug
        yield csv_line((uid, *scores, task, source, part, int(people.ratings[place]), str(version), judge, notice))
