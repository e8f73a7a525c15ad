"""What a benchmark reads: which images and scores count, and what is missing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext

from annotation.library import settings_hash
from annotation.models import Candidate, Study
from tests import judging
from tests.judging import rated
from tests.training_editor_benchmarks import rows
from training.editor_benchmarks.comparing import compare
from training.editor_benchmarks.queries import rows_of
from training.editor_benchmarks.reading import Counts, read
from training.models import Likeness, Style

NAN = np.nan


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    pass


def test_it_works() -> None:
    """Means of two editors, the change within cases, and counts of what has no score."""
    data = rows.dataset(cases=4)
    made = rows.benchmark(data)
    base, other = rows.editors_of(data)
    rows.score(made, base, [1, 2, 3, 4])
    rows.score(made, other, [2, 4, 3, None])
    compared = compare(made, read(made))
    assert [one.overall.value for one in compared.main] == [2.5, 3]
    assert compared.change is not None
    assert compared.change[1].overall.value == pytest.approx(1)  # over three cases
    assert compared.found.counts(1) == Counts(samples=4, missing=0, aside=0, open=0, refused=1, scored=3)


def test_an_image_that_is_not_scored_is_open_and_in_no_mean() -> None:
    data = rows.dataset(cases=3)
    made = rows.benchmark(data)
    base, _other = rows.editors_of(data)
    rows.score(made, base, [3, 5])
    found = read(made)
    assert (found.counts(0).scored, found.counts(0).open) == (2, 1)
    assert compare(made, found).main[0].overall.value == 4
    assert sum(map(len, found.asking.values())) == 4


def test_a_failed_answer_is_asked_again() -> None:
    data = rows.dataset(cases=1)
    made = rows.benchmark(data)
    rows.score(made, rows.editors_of(data)[0], [None], status={False: "failed"})
    assert read(made).counts(0).open == 1


def test_only_the_kept_version_and_judge_count() -> None:
    data = rows.dataset(cases=1)
    made = rows.benchmark(data)
    rows.score(made, rows.editors_of(data)[0], [5], by=rows.version("another"))
    rows.score(rows.benchmark(data), rows.editors_of(data)[0], [5])  # of another judge
    assert read(made).counts(0).scored == 0


def test_images_of_other_settings_or_seeds_do_not_count() -> None:
    """An editor that was given other settings makes its images anew."""
    data = rows.dataset(cases=1, seeds=2)
    editor = rows.editors_of(data)[0]
    made = rows.benchmark(data)
    assert read(made).counts(0).samples == 1
    editor.module, editor.settings = "drawn", {"steps": 4}
    editor.save()
    assert read(made).counts(0).missing == 1
    Candidate.objects.filter(editor=editor, seed=0).update(settings_hash=settings_hash({"steps": 4}))
    assert read(made).counts(0).missing == 0


def test_an_image_that_was_set_aside_is_counted_and_not_scored() -> None:
    data = rows.dataset(cases=2)
    first = rows.candidates(data, rows.editors_of(data)[0])[0]
    Candidate.objects.filter(pk=first.pk).update(fault="unchanged")
    made = rows.benchmark(data)
    assert (read(made).counts(0).aside, read(made).counts(0).open) == (1, 1)
    Candidate.objects.filter(pk=first.pk).update(fault_kept=True)
    assert read(made).counts(0).aside == 0


def test_the_common_cases_are_those_that_every_editor_has() -> None:
    data = rows.dataset(cases=3)
    made = rows.benchmark(data)
    base, other = rows.editors_of(data)
    rows.score(made, base, [1, 2, 5])
    rows.score(made, other, [1, None, 2])
    every, common = (compare(made, read(made), common=one) for one in (False, True))
    assert (every.main[0].overall.value, common.main[0].overall.value) == (pytest.approx(8 / 3), 3)
    assert (every.cases, common.cases) == (3, 2)


def test_gedit_takes_o_of_each_image() -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data, Style.GEDIT)
    editor, asked = rows.editors_of(data)[0], rows.gedit()
    rows.score(made, editor, [9, 0], by=asked["sc"])
    rows.score(made, editor, [4, 9], by=asked["pq"])
    compared = compare(made, read(made))
    assert compared.plain["sc"][0].overall.value == 5
    assert compared.plain["pq"][0].overall.value == pytest.approx((40 / 9 + 10) / 2)
    assert compared.main[0].overall.value == pytest.approx(np.sqrt(10 * 40 / 9) / 2)


def test_gedit_is_scored_when_both_are_there() -> None:
    data = rows.dataset(cases=1)
    made = rows.benchmark(data, Style.GEDIT)
    editor, asked = rows.editors_of(data)[0], rows.gedit()
    rows.score(made, editor, [9], by=asked["sc"])
    found = read(made)
    assert (found.counts(0).open, len(found.asking[asked["pq"].pk]), len(found.asking[asked["sc"].pk])) == (1, 2, 1)
    assert np.isnan(found.values["o"][0]).all()


def test_a_deleted_prompt_leaves_images_unscored() -> None:
    data = rows.dataset(cases=1)
    made = rows.benchmark(data)
    rows.version().prompt.delete()
    found = read(made)
    assert (found.counts(0).open, found.asking) == (1, {})


def test_dreambench_reads_the_models_that_were_named() -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data, Style.DREAM)
    first, second = rows.candidates(data, rows.editors_of(data)[0])
    for measure, model, value in (("dino_i", "dino", 0.5), ("clip_i", "clip", 0.75), ("clip_t", "clip", 0.25)):
        Likeness.objects.create(candidate=first, measure=measure, model=f"/models/{model}", value=value)
        Likeness.objects.create(candidate=second, measure=measure, model="/other/weights", value=1)
    compared = compare(made, read(made))
    assert [compared.plain[name][0].overall.value for name in compared.measures] == [0.5, 0.75, 0.25]
    assert (compared.found.counts(0).scored, compared.found.counts(0).open) == (1, 1)


# People --------------------------------------------------------------------------------------------------------------


def study_of(data: Any, person: Callable[..., Any], scores: dict[int, float]) -> Study:
    """Two people give each image its score."""
    people = [person(name, "annotator") for name in ("r1", "r2")]
    made = judging.study(data, "hp-score", people)
    for user in people:
        judging.judge(made, user, lambda row: rated({"overall": scores[row.order[0]]}))
    return made


def test_peoples_means_of_the_same_images_stand_beside(person: Callable[..., Any]) -> None:
    data = rows.dataset(cases=2)
    made = rows.benchmark(data)
    images = {one.pk: 1.0 for editor in rows.editors_of(data) for one in rows.candidates(data, editor)}
    first = rows.candidates(data, rows.editors_of(data)[0])
    images[first[0].pk] = 4.0
    study = study_of(data, person, images)
    compared = compare(made, read(made))
    assert compared.human is not None
    assert [one.overall.value for one in compared.human] == [2.5, 1]
    assert not compared.simulated
    Study.objects.filter(pk=study.pk).update(is_simulated=True)
    assert compare(made, read(made)).simulated


def test_without_ratings_there_is_no_column_of_people() -> None:
    made = rows.benchmark(rows.dataset(cases=1))
    assert compare(made, read(made)).human is None


# For an editor's page ------------------------------------------------------------------------------------------------


def test_an_editor_has_its_benchmarks() -> None:
    data = rows.dataset(cases=4, notice="Demo data.")
    made = rows.benchmark(data)
    base, other = rows.editors_of(data)
    rows.score(made, base, [1, 1, 1, 1])
    rows.score(made, other, [2, 2, 2])
    (of_other,), (of_base,) = rows_of(other), rows_of(base)
    assert (of_other.benchmark, of_other.overall.text, of_other.missing) == (made, "2.00", 1)
    assert of_other.change is not None
    assert (of_other.change.text, of_other.change.limits, of_other.change.tone) == ("+1.00", "+1.00 … +1.00", "good")
    assert of_other.notice == "Demo data. A demo judge."
    assert of_base.change is None
    html = render_to_string("editor_benchmarks/of_editor.html", {"rows": [of_other, of_base]})
    assert html.count(made.get_absolute_url()) == 2
    for words in ("+1.00", "Demo data. A demo judge.", "RealPref-Bench, HP-score"):
        assert words in html
    assert rows_of(rows.editors_of(rows.dataset(editors=3))[2]) == []


def test_reading_costs_the_same_for_more_cases() -> None:
    def queries(cases: int) -> int:
        data = rows.dataset(cases=cases)
        made = rows.benchmark(data)
        rows.score(made, rows.editors_of(data)[0], [1.0] * cases)
        with CaptureQueriesContext(
            connection,
        ) as found:
            compare(made, read(made))
        return len(found)

    assert queries(2) == queries(9) <= 8
