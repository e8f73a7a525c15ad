"""Rows for the measurement of the data set pages: 44,300 cases and a million candidates that share a few small files.

44,300 is the number of cases in HP-Edit's training set (Table S6); a million candidates are about 23 for each.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from annotation.importing.images import verify
from annotation.library import ensure_editor, settings_hash
from annotation.models import (
    Assignment,
    Candidate,
    Case,
    Category,
    Dataset,
    Editor,
    Fault,
    Item,
    Judgement,
    Mark,
    Source,
    Split,
    StoredImage,
    Study,
    Task,
    Unit,
)
from annotation.pictures import store
from annotation.protocols import PRESETS
from annotation.versions.freeze import KIND, start_freeze
from tests.conftest import png
from webapp.accounts.models import User
from webapp.jobs.folder import JobRun, write_json
from webapp.jobs.models import Job

CASES, CANDIDATES, EDITORS, FILES = 44_300, 1_000_000, 6, 200
JUDGED = 3_000  # candidates with a judgement
BATCH = 5000
WORDS = ("red", "blue", "mug", "street", "dog", "sky", "spoon", "remove", "add", "window", "table", "bright", "old")


def make(cases: int = CASES, candidates: int = CANDIDATES) -> Dataset:
    """The data set of the measurement, and a small one beside it."""
    chance = random.Random(0)
    with transaction.atomic():
        images = [store(data, verify(data)) for data in (png(number) for number in range(FILES))]
        sources = _sources(chance, cases, images[0])
        editors = [ensure_editor(slug=f"editor-{n}", name=f"Editor {n}") for n in range(EDITORS)]
        big = _dataset("big", cases, sources, chance)
        small = _dataset("small", min(200, cases), sources, chance)
        about = {"dataset": str(big.uid)}
        jobs = [Job.objects.create(kind="generate", queue="gpu", title=f"Job {n}", config=about) for n in range(5)]
        for data, most in ((big, candidates), (small, 1000)):
            keys = list(data.cases.order_by("pk").values_list("pk", flat=True))
            rows = _candidates(keys, most, editors, images, jobs)
            while batch := list(islice(rows, BATCH)):
                Candidate.objects.bulk_create(batch)
        _judge(big, min(JUDGED, candidates))
    return big


def _sources(chance: random.Random, count: int, like: StoredImage) -> list[int]:
    """Rows of ``count`` source images that share one file; three quarters have a category."""
    names = ("original", "view", "format", "size", "view_width", "view_height")
    values = {name: getattr(like, name) for name in names}
    sizes = [(512, 512), (768, 512), (1024, 768), (640, 480)]
    rows = []
    for number in range(count):
        width, height = chance.choice(sizes)
        rows.append(StoredImage(sha256=f"{number:064x}", width=width, height=height, **values))
    StoredImage.objects.bulk_create(rows, batch_size=BATCH)
    keys = list(StoredImage.objects.order_by("pk").values_list("pk", flat=True))[-count:]
    categories = list(Category.objects.all())
    facts = [
        Source(image_id=key, category=chance.choice(categories) if chance.random() < 0.75 else None) for key in keys
    ]
    Source.objects.bulk_create(facts, batch_size=BATCH)
    return keys


def _dataset(slug: str, count: int, sources: list[int], chance: random.Random) -> Dataset:
    data = Dataset.objects.create(slug=slug, name=slug, notice="Measurement.")
    tasks = list(Task.objects.filter(is_hp_edit=True))
    splits = [*[Split.TRAIN] * 17, Split.DEV, Split.TEST, Split.BENCH]
    Case.objects.bulk_create(
        (
            Case(
                dataset=data,
                key=f"case-{number:06}",
                source_id=sources[number],
                task=chance.choice(tasks),
                split=chance.choice(splits),
                instruction=" ".join(chance.choices(WORDS, k=chance.randint(4, 16))),
                attribution=f"Photographer {number % 500}",
                licence="CC BY 4.0",
            )
            for number in range(count)
        ),
        batch_size=BATCH,
    )
    return data


def _candidates(
    cases: list[int], count: int, editors: list[Editor], images: list[StoredImage], jobs: list[Job]
) -> Iterator[Candidate]:
    """``count`` candidates, as many for each case as can be; the last cases have none, 3 in a hundred are set aside."""
    chance, digest = random.Random(1), settings_hash({"steps": 20})
    used = cases[: int(len(cases) * 0.99)]
    per_case = -(-count // len(used))
    for number in range(count):
        case, place = divmod(number, per_case)
        faulty = chance.random() < 0.03
        yield Candidate(
            case_id=used[case],
            editor=editors[place % len(editors)],
            image=images[number % len(images)],
            seed=place // len(editors),
            settings={"steps": 20},
            settings_hash=digest,
            job=jobs[number * len(jobs) // count],
            seconds=1.5,
            fault=chance.choice(Fault.values) if faulty else "",
            fault_kept=True if faulty and chance.random() < 0.2 else None,
        )


def _judge(data: Dataset, count: int) -> None:
    """A study in which one person has rated ``count`` candidates, spread over the data set."""
    user = User.objects.create(username="rater", role="annotator")
    keys = list(Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("pk", "case"))
    keys = keys[:: max(1, len(keys) // count)][:count]
    protocol = PRESETS["mos"]
    study = Study.objects.create(name="Ratings", dataset=data, preset="mos", protocol_json=protocol.to_json(), seed=1)
    made: Any = Item.objects.bulk_create([Item(study=study, case_id=case) for _key, case in keys], batch_size=BATCH)
    units = Unit.objects.bulk_create([Unit(study=study, item=i, target=1, taken=1, done=1, shuffle=0.5) for i in made])
    due = timezone.now()
    lent = Assignment.objects.bulk_create(
        [
            Assignment(study=study, unit=unit, annotator=user, order=[key], leased_until=due, state="done")
            for unit, (key, _case) in zip(units, keys, strict=True)
        ]
    )
    given = Judgement.objects.bulk_create(
        [Judgement(study=study, unit=row.unit, assignment=row, annotator=user, answer={}) for row in lent]
    )
    pairs = zip(given, keys, strict=True)
    Mark.objects.bulk_create(
        [Mark(judgement=row, candidate_id=key, dimension="quality", score=3) for row, (key, _case) in pairs]
    )


def freeze(data: Dataset) -> tuple[float, int]:
    """Freeze a version by its job: seconds, and bytes of the manifest."""
    job = start_freeze(dataset=data, by=None)
    job.folder.mkdir(parents=True)
    write_json(job.folder / "job.json", {"kind": job.kind, "config": job.config, "attempt": 1})
    assert KIND.work is not None
    started = time.perf_counter()
    KIND.work(JobRun(job.folder), job)
    seconds = time.perf_counter() - started
    return seconds, default_storage.size(data.versions.get().manifest)
