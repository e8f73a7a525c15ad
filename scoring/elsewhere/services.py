"""Writes: import judgements that were made elsewhere, compute their figures, delete them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from scoring.elsewhere import beside
from scoring.elsewhere.figures import compute
from scoring.elsewhere.found import RANKINGS, Found, Refused, joined
from scoring.elsewhere.reading import read
from scoring.elsewhere.table import Judgements, read_rows, write_rows, write_scores
from scoring.elsewhere.unpacking import MIB, MOST_BYTES, MOST_FILES, MOST_UPLOAD, Plain, digest_of, unpack
from scoring.models import JudgementSet, Nature
from webapp.accounts.models import User
from webapp.jobs import services as jobs

JOB = "judgements"
AT_ONCE = 10_000
"""Judgements whose figures are computed in the request; more go to a job."""
BOARDS_AT_ONCE = 15
"""Leaderboards (tasks by dimensions) likewise: each is fitted again for every resample."""
COUNTED = ("annotator", "item", "candidate", "pair", "dimension", "group", "editor", "task", "split")


class SameFile(Exception):
    """The file is there already, as ``found``."""

    def __init__(self, found: JudgementSet) -> None:
        super().__init__(str(found.uid))
        self.found = found


def import_judgements(
    *,
    name: str,
    uploads: Sequence[File[bytes]],
    source: str,
    licence: str = "",
    nature: str = Nature.PEOPLE,
    repeats: bool = False,
    by: User | None,
    at_once: int = AT_ONCE,
) -> JudgementSet:
    """Read, check and keep a file, or ImagenHub's files of several raters: all of it or nothing.

    Figures are computed here for up to ``at_once`` judgements, in a job for more. Raises ValidationError with what is
    wrong, by line, and SameFile for what is there already.
    """
    if len(uploads) > MOST_FILES or sum(upload.size or 0 for upload in uploads) > MOST_UPLOAD:
        limits = {"files": MOST_FILES, "size": MOST_UPLOAD // MIB}
        message = _("This is more than %(files)d files or %(size)d MiB. Pack it with gzip, or import it in parts.")
        raise ValidationError({"uploads": message % limits})
    with tempfile.TemporaryDirectory(prefix="judgements-") as folder:
        try:
            plain = _plain(uploads, Path(folder))
            digest = digest_of(plain)
            _refuse_again(digest)
            found = read(plain, repeats=repeats)
        except Refused as error:
            raise ValidationError({"uploads": _sentences(error)}) from None
        made = JudgementSet(
            name=name.strip(),
            layout=found.layout,
            kind=found.kind,
            nature=nature,
            source=source.strip(),
            licence=licence.strip(),
            sha256=digest,
            judgements=number_of(found),
            counts=counts_of(found),
            told=list(found.told),
            created_by=by,
        )
        made.full_clean(exclude=["rows", "counts", "told"], validate_unique=False)
        return _keep(made, found, Path(folder), at_once)


def _plain(uploads: Sequence[File[bytes]], folder: Path) -> list[Plain]:
    """The unpacked files, which together are no larger than one alone may be."""
    found: list[Plain] = []
    room = MOST_BYTES
    for number, upload in enumerate(uploads):
        opened = upload.open().file
        assert opened is not None
        found.append(unpack(opened, Path(upload.name or "file").name, folder / str(number), room))
        room -= found[-1].path.stat().st_size
    return found


def _keep(made: JudgementSet, found: Found, folder: Path, at_once: int) -> JudgementSet:
    """The files, and then the row: a row without its file would be a broken page, a file without a row is deleted."""
    write_rows(found, folder / "rows")
    kept: list[str] = []
    try:
        made.rows = _store(made, folder / "rows", "rows", kept)
        if found.rows <= at_once and (at_once > AT_ONCE or _boards(found) <= BOARDS_AT_ONCE):
            _figures(made, Judgements(found.kind, found.columns, found.values), folder, kept)
        with transaction.atomic():
            made.save()
            if made.figures is None:
                _start(made, made.created_by)
    except BaseException as error:
        for name in kept:
            default_storage.delete(name)
        if isinstance(error, IntegrityError):
            _refuse_again(made.sha256)  # somebody imported the same file in this moment
        raise
    return made


def _store(made: JudgementSet, path: Path, name: str, kept: list[str]) -> str:
    with path.open("rb") as file:
        stored = default_storage.save(f"judgements/{made.uid}/{name}.parquet", File(file))
    kept.append(stored)
    return stored


def _figures(made: JudgementSet, judged: Judgements, folder: Path, kept: list[str]) -> None:
    """Fill in ``figures`` and ``scores``; the row is not saved."""
    computed = compute(judged, made.layout)
    write_scores(computed.scores, folder / "scores")
    made.scores = _store(made, folder / "scores", "scores", kept)
    made.figures = {**computed.figures, "here": beside.found_here(judged)}


def compute_figures(*, judgement_set: JudgementSet) -> JudgementSet:
    """Compute the figures anew and keep them; the old ones stay until the new ones are there."""
    before, kept = judgement_set.scores, list[str]()
    with default_storage.open(judgement_set.rows) as file:
        judged = read_rows(judgement_set.kind, file)
    try:
        with tempfile.TemporaryDirectory(prefix="judgements-") as folder:
            _figures(judgement_set, judged, Path(folder), kept)
        values = {"figures": judgement_set.figures, "scores": judgement_set.scores}
        if not JudgementSet.objects.filter(pk=judgement_set.pk).update(**values):
            raise ValidationError(_("The judgements were deleted."))
    except BaseException:
        for name in kept:
            default_storage.delete(name)
        raise
    if before:
        default_storage.delete(before)
    return judgement_set


@transaction.atomic
def start_figures(*, judgement_set: JudgementSet, by: User | None) -> JudgementSet:
    """A job that computes the figures anew. Raises ValidationError while one does."""
    locked = JudgementSet.objects.select_for_update(of=("self",)).select_related("job").get(pk=judgement_set.pk)
    if locked.job is not None and locked.job.is_active:
        raise ValidationError(_("A job computes these figures now."))
    _start(locked, by)
    return locked


def _start(made: JudgementSet, by: User | None) -> None:
    title = _("Figures of %(name)s") % {"name": made.name}
    made.job = jobs.start(kind=JOB, title=title, config={"set": str(made.uid)}, by=by)
    made.save(update_fields=["job"])


def delete_judgements(*, judgement_set: JudgementSet) -> None:
    """Delete a set with its files. Raises ValidationError while a job computes its figures."""
    with transaction.atomic():
        locked = JudgementSet.objects.select_for_update(of=("self",)).select_related("job").get(pk=judgement_set.pk)
        if locked.job is not None and locked.job.is_active:
            raise ValidationError(_("A job computes these figures now. Cancel the job first."))
        names = [name for name in (locked.rows, locked.scores) if name]
        locked.delete()
        for name in names:
            transaction.on_commit(partial(default_storage.delete, name))


def _boards(found: Found) -> int:
    if "editor" not in found.columns:
        return 0
    tasks = len(found.columns["task"]) + 1 if "task" in found.columns else 1
    return tasks * len(found.columns["dimension"])


def number_of(found: Found) -> int:
    """Ratings, votes, or rankings: an annotator's ranks of a group in a dimension are one ranking."""
    if found.kind != RANKINGS:
        return found.rows
    return len(joined([found.columns[name] for name in ("annotator", "group", "dimension")]))


def counts_of(found: Found) -> dict[str, Any]:
    """How many annotators, items and so on."""
    return {name: len(found.columns[name]) for name in COUNTED if name in found.columns}


def _refuse_again(digest: str) -> None:
    if found := JudgementSet.objects.defer("figures").filter(sha256=digest).first():
        raise SameFile(found)


def _sentences(error: Refused) -> list[str]:
    more = error.count - len(error.problems)
    rest = [ngettext("And %(n)d more problem.", "And %(n)d more problems.", more) % {"n": more}] if more > 0 else []
    return [*error.problems, *rest, _("Nothing was kept.")]
