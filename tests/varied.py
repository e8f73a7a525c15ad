"""A data set of many kinds of rows, for the tests of its pages."""

from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

from annotation.curation.services import load_categories
from annotation.library import load_tasks
from annotation.models import Candidate, Case, Category, Dataset, Source, StoredImage
from annotation.studies import add_member
from tests import judging
from tests.judging import judge, rated
from webapp.accounts.models import User

SCORES = rated({"quality": 2.5, "alignment": 3, "preservation": 4})
WORDS = ("Remove the red mug", "Add a 100% RED hat", "Make the sky_line blue", "Entferne die Schüssel", "Add a dog")


def varied(judge_by: User) -> Dataset:
    """Twelve cases of all sorts, a third of their outputs checked, two judged; another data set beside it."""
    load_tasks()  # a test with real transactions may have emptied all tables
    load_categories()
    made = judging.dataset(cases=12, editors=3, seeds=2, notice="Demo data.")
    judging.dataset(cases=3, editors=2)
    cases, categories = list(made.cases.order_by("pk")), list(Category.objects.all()[:2])
    study = judging.study(made, "mos")
    add_member(study=study, user=judge_by)
    judge(study, judge_by, lambda _row: SCORES, limit=4)
    for number, case in enumerate(cases):
        case.task_id = ("add", "remove", "style")[number % 3]
        case.split = ("train", "dev", "test", "bench")[number % 4]
        case.instruction = WORDS[number % 5] + " and the rest of it" * (number % 7)
        case.instruction_zh = "移除红色杯子" if number % 5 == 0 else ""
        case.save()
        StoredImage.objects.filter(pk=case.source_id).update(width=64 + number % 2)
        if number % 2:
            Source.objects.create(image=case.source, category=categories[number % 4 // 2] if number % 3 else None)
        for place, candidate in enumerate(case.candidates.order_by("seed", "pk")[number % 3 : 3]):
            kept = (None, True, False)[(number + place) % 3]
            Candidate.objects.filter(pk=candidate.pk).update(fault=("noise", "size")[number % 2], fault_kept=kept)
    for number, case in enumerate(join(made, judging.dataset(cases=4, editors=2))):
        for candidate in case.candidates.order_by("pk")[: number % 3]:
            candidate.delete()
    return made


def unlike(prefix: str) -> Concat:
    """A text that differs from row to row."""
    return Concat(Value(prefix), Cast(F("pk"), CharField()))


def join(data: Dataset, other: Dataset) -> list[Case]:
    """Move the cases of another data set into this one."""
    cases = list(other.cases.order_by("pk"))
    other.cases.update(dataset=data, key=unlike("more-"))
    return cases


def set_aside(candidate: Candidate) -> bool:
    return bool(candidate.fault) and candidate.fault_kept is not True


def category_of(case: Case) -> str:
    facts = Source.objects.filter(image=case.source).first()
    return facts.category_id or "none" if facts else "none"
