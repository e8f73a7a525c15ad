"""The demo project: real photographs with classical edits, the drawn world, studies, and people to try them.

Every step is skipped where its result is there already, so the second start costs nothing.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils.translation import gettext as _

from annotation.imports import Progress, import_path
from annotation.library import ensure_editor
from annotation.models import Dataset, Editor, Study
from annotation.protocols import PRESETS, Protocol
from annotation.simulation import job as simulation
from annotation.studies import add_member, create_study
from drawnworld.dataset import write_dataset
from scoring.asking.judges import ensure_judge
from training.demo import photographs
from training.generation import start_generation
from training.gpu.classical_ops.variants import VARIANTS
from training.programs import program
from webapp.accounts.models import Role, User
from webapp.jobs import services as jobs
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job, State
from webapp.jobs.supervisor import supervise

PEOPLE = {
    "alice": Role.ADMIN,
    "bob": Role.ENGINEER,
    "carol": Role.ANNOTATOR,
    "dan": Role.ANNOTATOR,
    "erin": Role.ANNOTATOR,
}
PHOTOGRAPHS, DRAWN, CALIBRATION = "demo-photographs", "demo-drawn-world", "demo-calibration"
DRAWN_SEED, DRAWN_CASES = 1, 160  # 5:1:1 leaves 23 groups and more to each held-out part of a reward model
RANKERS, RANKING_RATERS = {"honest": 2, "noisy": 1}, 6  # three places stay free for people, here too
# Scenes of its own, so that nothing was tuned on them. Each task has 48: 30 and more in either half of a split.
CALIBRATION_SEED, CALIBRATION_CASES, CALIBRATION_TASKS = 4, 96, ("color", "remove")
SIMULATED = {"honest": 3, "biased": 1, "noisy": 1}
CALIBRATION_RATERS = 8  # five places for the simulated annotators, and three that stay free for people
SEED = 2026
GUIDELINES = """\
Look at the source first, then at the edit. Hold Space to see the source in the edit's place.

- **Visual quality**: seams, noise, broken shapes, odd light. Leave aside whether it is the edit that was asked for.
- **Editing alignment**: was all of the instruction carried out, as a person would have meant it?
- **Attribute preservation**: is everything else still as it was? Press D to see the differences.

These edits were made by classical programs, some of them careless on purpose.
"""

CALIBRATION_GUIDELINES = """\
Look at the source first, then at the edit. Hold Space to see the source in the edit's place.

How well was the instruction carried out? Two things count: that what was asked for was done, all of it, and that
everything else is still as it was. Press D to see the differences.
"""

RANKING_GUIDELINES = """\
Look at the source first, then at the edits. Hold Space to see the source in an edit's place.

Six edits of one scene, in three passes: how clean the picture is, how well the instruction was carried out, and how
much of the rest is still as it was. Edits that are as good as each other are a tie.
"""

Say = Callable[[str], None]


def make_demo(say: Say) -> None:
    """Make what is missing of the demo project."""
    photos = _dataset(
        PHOTOGRAPHS,
        _("Demo: photographs"),
        _("Demo data. Real photographs, edited by classical programs, not by a model."),
        photographs.build_folder,
        say,
    )
    drawn = _dataset(
        DRAWN,
        _("Demo: drawn world"),
        _("Demo data. Drawn scenes: exact edits, edits with planted faults, and those of a small model."),
        lambda folder: write_dataset(folder, DRAWN_SEED, DRAWN_CASES),
        say,
    )
    classical = [_editor("classical", _("Classical: %(name)s"), "variant", variant) for variant in VARIANTS]
    of_drawn_world = [_editor("drawn", _("CPU editor: %(name)s"), "base", base) for base in ("rough", "good")]
    _candidates(photos, classical, say)
    _studies(photos)
    if not Job.objects.filter(kind="generate", config__dataset=str(drawn.uid)).exists():
        start_generation(dataset=drawn, editors=of_drawn_world, seeds=1, by=None)  # for the worker, when it is up
    _ranking(drawn)
    _calibration(say)
    ensure_judge(slug="embedded-judge", name=_("Embedded judge of the drawn world"), kind="drawn")


def _calibration(say: Say) -> None:
    """What a scorer is calibrated on: two tasks of the drawn world, and a study that simulated annotators judge."""
    data = _dataset(
        CALIBRATION,
        _("Demo: calibration"),
        _("Demo data. Drawn scenes: exact edits, and edits with planted faults."),
        lambda folder: write_dataset(folder, CALIBRATION_SEED, CALIBRATION_CASES, CALIBRATION_TASKS),
        say,
    )
    protocol = replace(PRESETS["hp-score"], raters=CALIBRATION_RATERS)
    study = _study(data, _("Score edits of drawn scenes"), "hp-score", protocol, CALIBRATION_GUIDELINES)
    _simulate(study, SIMULATED)


def _ranking(dataset: Dataset) -> None:
    """What a reward model learns from: groups of the drawn world that simulated annotators rank."""
    protocol = replace(PRESETS["group-rank"], raters=RANKING_RATERS)
    study = _study(dataset, _("Rank edits of drawn scenes"), "group-rank", protocol, RANKING_GUIDELINES)
    _simulate(study, RANKERS)


def _simulate(study: Study, annotators: dict[str, int]) -> None:
    if not Job.objects.filter(kind=simulation.KIND_NAME, config__study=str(study.uid)).exists():
        simulation.start_simulation(study=study, annotators=annotators, seed=SEED, by=None)  # for the worker, too


def _editor(module: str, title: str, setting: str, name: str) -> Editor:
    found = program(module)
    return ensure_editor(
        slug=f"{module}-{name}",
        name=title % {"name": name},
        module=module,
        settings={setting: name},
        notice=str(found.notice) if found else "",
    )


def _dataset(slug: str, name: str, notice: str, build: Callable[[Path], Any], say: Say) -> Dataset:
    found = Dataset.objects.filter(slug=slug).first()
    if found is not None:
        return found
    say(_("Making the data set “%(name)s” …") % {"name": name})
    folder = Path(settings.VAR) / "demo" / slug
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build(folder)
    dataset = Dataset(slug=slug, name=name, notice=notice)
    import_path(path=folder, dataset=dataset, progress=Progress(lambda done, total, message: None))
    shutil.rmtree(folder, ignore_errors=True)
    return dataset


def _candidates(dataset: Dataset, editors: list[Editor], say: Say) -> None:
    """Run generation now, on all cores: the studies need the images, and a worker may not be there yet."""
    if Study.objects.filter(dataset=dataset).exists():
        return
    say(_("Editing the photographs (about a minute) …"))
    job = start_generation(dataset=dataset, editors=editors, seeds=1, by=None, limit=settings.DEMO_CASES)
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(_run_here, [job] * cores))
    job.refresh_from_db()
    if job.state != State.SUCCEEDED:
        raise JobError(job.message)


def _run_here(job: Job) -> None:
    """Do the job, or parts of it, in this process, and wait for the workers that took the rest."""
    while mine := jobs.take(uid=str(job.uid), worker="demo"):
        supervise(mine)
    now = Job.objects.get(pk=job.pk)
    while now.is_active:
        connections.close_all()
        time.sleep(0.5)
        now.refresh_from_db()
    connections.close_all()


def _studies(dataset: Dataset) -> None:
    for name, preset in ((_("Rate edits of photographs"), "mos"), (_("Rank edits of photographs"), "group-rank")):
        _study(dataset, name, preset, PRESETS[preset], GUIDELINES)


def _study(dataset: Dataset, name: str, preset: str, protocol: Protocol, guidelines: str) -> Study:
    """The data set's study with this preset, made with the demo's annotators where there is none."""
    if found := Study.objects.filter(dataset=dataset, preset=preset).order_by("id").first():
        return found
    study = create_study(
        name=name, dataset=dataset, preset=preset, protocol=protocol, guidelines=guidelines, by=None, seed=SEED
    )
    for user in User.objects.filter(is_demo=True, role=Role.ANNOTATOR).order_by("id"):
        add_member(study=study, user=user)
    return study


def make_people(path: Path) -> list[dict[str, str]]:
    """The demo accounts with their passwords, made freshly once and kept in ``path`` for its owner alone."""
    known = {row["username"]: row["password"] for row in _read(path)}
    rows = []
    for username, role in PEOPLE.items():
        user = User.objects.filter(username=username).first() or User(username=username, role=role, is_demo=True)
        password = known.get(username, "")
        if not (user.pk and password and user.check_password(password)):
            password = secrets.token_urlsafe(9)
            user.set_password(password)
            user.save()
        rows.append({"username": username, "role": user.role, "password": password})
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(rows, file, indent=1)
    return rows


def _read(path: Path) -> list[dict[str, str]]:
    try:
        rows: list[dict[str, str]] = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return rows
