"""Training sets from studies: labels against brute force, splits, the hash, what is left out, and what is refused."""

import random
from itertools import combinations
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.utils import timezone

from annotation.models import Assignment, Candidate, Case, Dataset, Editor, Judgement, Mark, StoredImage
from annotation.models.curation import Source
from scoring.results import pair_rows
from scoring.tables import rankings
from tests import judging
from tests.training_sets import make
from training.models import LabelledSet, SetState
from training.rewards.groups import SPLITS, Group, pairs_of
from training.sets import freeze, placing, services
from training.sets.card import card
from training.sets.wishes import Wish
from webapp.jobs.folder import JobError
from webapp.jobs.models import Job

pytestmark = pytest.mark.django_db
DIMENSIONS = ("quality", "alignment", "preservation")


def groups_of(made: LabelledSet) -> list[Group]:
    return list(placing.open_set(made)[1])


def keyed(group: Group, key: str, scale: float = 5) -> dict[frozenset[str], tuple[str, float]]:
    """(better candidate, gap) of every pair, "" for a tie."""
    found = {}
    for pair in pairs_of(group.labels[key], scale):
        first, second = group.candidates[pair.first].key, group.candidates[pair.second].key
        better = "" if not pair.outcome else first if pair.outcome > 0 else second
        found[frozenset((first, second))] = (better, pair.gap)
    return found


def test_shelves_of_a_ranking_are_scores(carol: Any) -> None:
    study = judging.study(judging.dataset(2, 3), "group-rank", members=[carol])
    tiers = [["A"], ["B"], ["C"]]  # on the shelves 5, 4 and 3
    judging.judge(study, carol, lambda _row: judging.ranked(tiers))
    for group in groups_of(make.labelled([study])):
        for labels in group.labels.values():
            assert sorted(zip(labels.ranks, labels.mos, strict=True)) == [(1, 5), (2, 4), (3, 3)]


@pytest.fixture
def ranked() -> Any:
    """Nine cases with four candidates, ranked by three people who differ."""
    chance = random.Random(3)
    return make.judged(
        make.study(judging.dataset(9, 4)), make.people(3), lambda who, pk, key: pk % 4 + chance.randint(0, 2)
    )


def test_ranks_give_the_pairs_of_the_study(ranked: Any) -> None:
    made = make.labelled([ranked])
    assert (made.state, made.groups, made.candidates) == (SetState.READY, 9, 36)
    assert [one["key"] for one in made.dimensions] == list(DIMENSIONS)
    wanted = pair_rows(rankings(ranked), ranked.protocol.agreement)
    found = {key: {} for key in DIMENSIONS}
    for group in groups_of(made):
        assert group.source == group.source_key == Case.objects.get(uid=group.key).source.sha256
        for key in DIMENSIONS:
            found[key] |= keyed(group, key)
    assert sum(len(pairs) for pairs in found.values()) == len(wanted) == 9 * 3 * 6
    for row in wanted:
        better, gap = found[row.dimension][frozenset((row.better, row.worse))]
        assert better == ("" if row.gap == 0 else row.better)
        assert gap == pytest.approx(row.gap / 3, abs=1e-6)
    facts = made.facts["dimensions"]["quality"]
    ties = sum(row.gap == 0 for row in wanted if row.dimension == "quality")
    assert sum(facts["ties"].values()) == ties
    assert sum(facts["pairs"].values()) == sum(facts["gaps"]) == 54 - ties
    assert made.facts["raters"] == {"people": 3, "simulated": 0}


def test_splits_are_disjoint_by_source_and_five_to_one_to_one() -> None:
    data = judging.dataset(14, 2)
    for first, second in combinations(list(data.cases.order_by("pk"))[:2], 2):
        Case.objects.filter(pk=second.pk).update(source=first.source)
    made = make.labelled([make.judged(make.study(data), make.people(1), lambda who, pk, key: pk)])
    places: dict[str, set[str]] = {}
    for group in groups_of(made):
        places.setdefault(group.source_key, set()).add(group.split)
    assert all(len(splits) == 1 for splits in places.values())
    splits = made.facts["splits"]
    assert sum(splits.values()) == 14 and splits["train"] > max(splits["dev"], splits["test"]) and all(splits.values())
    assert sum(made.facts["sources"].values()) == 13


def test_what_was_held_out_stays_held_out_with_its_look_alikes() -> None:
    data = judging.dataset(10, 2)
    cases = list(data.cases.order_by("pk"))
    for case, split in zip(cases, ("bench", "test", "dev"), strict=False):
        Case.objects.filter(pk=case.pk).update(split=split)
    for case, phash in ((cases[0], "00000000000000ff"), (cases[5], "00000000000000fe")):
        Source.objects.create(image=case.source, phash=phash)
    study = make.judged(make.study(data), make.people(1), lambda who, pk, key: pk)
    made = make.labelled([study])
    split = {group.source_key: group.split for group in groups_of(made)}
    shas = [case.source.sha256 for case in cases]
    assert [split[shas[0]], split[shas[1]], split[shas[2]], split[shas[5]]] == ["test", "test", "dev", "test"]
    assert set(split.values()) == set(SPLITS)
    assert made.facts["unhashed"] == 8 and "8 source images had no perceptual hash" in card(made)
    alone = make.labelled([study], "Alone", near=False, seed=9)
    assert "unhashed" not in alone.facts and "By choice, pictures that look alike were not tied" in card(alone)


def test_the_hash_is_of_the_content_alone(ranked: Any) -> None:
    first = make.labelled([ranked], "First")
    again = make.labelled([ranked], "Again")
    assert again == first
    assert not LabelledSet.objects.filter(name="Again").exists()
    other = make.labelled([ranked], "Another seed", seed=5)
    assert other.content_hash != first.content_hash
    twin = _copy_of(ranked)
    assert make.labelled([twin], "Twin").content_hash == first.content_hash
    Mark.objects.filter(judgement__study=twin, dimension="quality").update(rank=1)
    assert make.labelled([twin], "Changed").content_hash != first.content_hash


def _copy_of(study: Any) -> Any:
    """The same pictures and judgements under other rows and names."""
    data = judging.dataset(0)
    for case in study.dataset.cases.order_by("pk"):
        candidates = list(case.candidates.order_by("pk"))
        case.pk, case.uid, case.dataset = None, None, data
        case.uid = Case._meta.get_field("uid").get_default()
        case.save()
        for one in candidates:
            one.pk, one.uid, one.case = None, Candidate._meta.get_field("uid").get_default(), case
            one.save()
    pairs = zip(study.dataset.cases.order_by("pk"), data.cases.order_by("pk"), strict=True)
    old = {}
    for one, other in pairs:
        old |= dict(
            zip(
                other.candidates.order_by("pk").values_list("pk", flat=True),
                one.candidates.order_by("pk").values_list("pk", flat=True),
                strict=True,
            )
        )
    marks = {
        (row.judgement.annotator.username, row.dimension, row.candidate_id): row.rank
        for row in Mark.objects.filter(judgement__study=study).select_related("judgement__annotator")
    }
    return make.judged(make.study(data), make.people(3), lambda who, pk, key: -marks[f"rater{who}", key, old[pk]])


def test_several_studies_of_one_dimension_are_one_panel() -> None:
    """One person of the first study and two of the second: the two decide."""
    data = judging.dataset(2, 3)
    first = make.judged(make.study(data), make.people(1), lambda who, pk, key: pk)
    second = make.judged(make.study(data), make.people(2, "more"), lambda who, pk, key: -pk)
    pks = {str(one.uid): one.pk for one in Candidate.objects.all()}
    both = make.labelled([first, second])
    assert both.facts["raters"]["people"] == 3
    assert [one["name"] for one in both.facts["studies"]] == [first.name, second.name]
    for made, wanted in ((both, min), (make.labelled([first], "First alone"), max)):
        for group in groups_of(made):
            for pair, (better, _gap) in keyed(group, "quality").items():
                assert better == wanted(pair, key=pks.__getitem__)
    assert groups_of(both)[0].labels["quality"].ranks == tuple(
        round((rank + 2 * (4 - rank)) / 3, 6)
        for rank in (groups_of(make.labelled([first], "Again"))[0].labels["quality"].ranks)
    )


def test_groups_of_other_candidates_give_pairs_and_no_ranks() -> None:
    """Two that were never shown together were not compared."""
    data = judging.dataset(2, 4)
    pks = list(data.cases.first().candidates.order_by("pk").values_list("pk", flat=True))
    halves = [Candidate.objects.filter(pk__in=pks[:2]), Candidate.objects.filter(pk__in=pks[1:])]
    studies = [
        make.judged(make.study(data, candidates=half), make.people(2), lambda who, pk, key: pk) for half in halves
    ]
    (group,) = groups_of(make.labelled(studies))
    labels = group.labels["quality"]
    assert not labels.ranks and len(labels.pairs) == 4  # of 6: the first was never beside the last two
    assert all(better for better, _gap in keyed(group, "quality").values())


# Pairs ---------------------------------------------------------------------------------------------------------------


def test_verdicts_become_pairs_and_both_bad_is_a_tie_or_dropped() -> None:
    data = judging.dataset(3, 3)
    choices = {0: "A", 1: "tie", 2: "both_bad"}
    study = make.judged(make.study(data, "pairwise"), make.people(1), lambda who, a, b: choices[(a + b) % 3])
    kept, dropped = make.labelled([study]), make.labelled([study], "Dropped", both_bad="drop")
    wanted = {one: sum((a + b) % 3 == one for a, b in _pairs_of(data)) for one in choices}
    facts, fewer = kept.facts["dimensions"]["overall"], dropped.facts["dimensions"]["overall"]
    assert sum(facts["pairs"].values()) == wanted[0]
    assert sum(facts["ties"].values()) == wanted[1] + wanted[2]
    assert sum(len(group.labels["overall"].both_bad) for group in groups_of(kept)) == wanted[2]
    assert sum(fewer["ties"].values()) == wanted[1]
    assert dropped.facts["left_out"]["both_bad"] == wanted[2]
    assert kept.facts["left_out"] == {}


def _pairs_of(data: Any) -> list[tuple[int, int]]:
    return [
        pair
        for case in data.cases.all()
        for pair in combinations(sorted(case.candidates.values_list("pk", flat=True)), 2)
    ]


def test_several_verdicts_are_counted_out() -> None:
    data = judging.dataset(1, 2)
    says = {0: "A", 1: "A", 2: "B"}
    study = make.judged(make.study(data, "pairwise"), make.people(3), lambda who, a, b: says[who])
    (group,) = groups_of(make.labelled([study]))
    first = str(Candidate.objects.order_by("pk").first().uid)
    assert keyed(group, "overall", 1) == {frozenset(one.key for one in group.candidates): (first, 1.0)}


# Scores --------------------------------------------------------------------------------------------------------------


def test_scores_are_means_on_peoples_scale() -> None:
    data = judging.dataset(3, 2)
    study = make.judged(make.study(data, "likert4"), make.people(2), lambda who, pk, key: 1 + (pk + who) % 4)
    made = make.labelled([study])
    assert [(one["low"], one["high"]) for one in made.dimensions] == [(1, 4), (1, 4)]
    pks = {str(one.uid): one.pk for one in Candidate.objects.all()}
    for group in groups_of(made):
        wanted = [(2 + (pks[one.key] % 4) + (pks[one.key] + 1) % 4) / 2 for one in group.candidates]
        assert list(group.labels["quality"].mos) == wanted


def test_a_corrected_score_stays_on_the_scale_and_z_scores_are_refused() -> None:
    chance = random.Random(1)
    data = judging.dataset(6, 2)
    study = make.judged(make.study(data, "mos"), make.people(4), lambda *_: round(chance.uniform(1, 5), 1))
    made = make.labelled([study], method="corrected")
    scores = [mos for group in groups_of(made) for mos in group.labels["quality"].mos]
    assert all(1 <= mos <= 5 for mos in scores)
    with pytest.raises(ValidationError, match="Z-scores lie between 0 and 100"):
        services.start_from_studies(name="Z", studies=[study], wish=Wish(method="zscore"), by=None)


def test_a_pair_that_ranks_and_scores_contradict_is_rejected_and_listed() -> None:
    """Ranks say the higher key is better; scores with no spread say so too, but for one pair of candidates."""
    data = judging.dataset(3, 3)
    pks = list(Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("pk", flat=True))
    low, high = pks[0], pks[2]  # of one case
    chance = random.Random(2)
    worth = {pk: 2 + place % 3 for place, pk in enumerate(pks)} | {low: 4, high: 2}
    rank = make.judged(make.study(data), make.people(3), lambda who, pk, key: pk)
    rate = make.judged(
        make.study(data, "mos"), make.people(4), lambda who, pk, key: worth[pk] + chance.choice((0, 0.1))
    )
    made = make.labelled([rank, rate])
    uids = dict(Candidate.objects.values_list("uid", "pk"))
    rejected = []
    for group in groups_of(made):
        order = [next(pk for uid, pk in uids.items() if str(uid) == one.key) for one in group.candidates]
        for i, j in group.labels["quality"].excluded:
            rejected.append({order[i], order[j]})
            assert (i, j) not in {(pair.first, pair.second) for pair in pairs_of(group.labels["quality"], 4)}
    assert {low, high} in rejected
    assert made.facts["dimensions"]["quality"]["excluded"] == len(rejected)
    assert made.dimensions[0]["high"] == 5 and made.dimensions[0]["low"] == 1  # of the ratings, not of the shelves


def test_two_scales_of_one_dimension_cannot_be_joined() -> None:
    data = judging.dataset(1, 2)
    studies = [make.judged(make.study(data, one), make.people(1), lambda *_: 2) for one in ("mos", "likert4")]
    with pytest.raises(ValidationError, match="two scales: 1 to 5 and 1 to 4"):
        services.start_from_studies(name="Both", studies=studies, wish=Wish(), by=None)
    assert make.labelled(studies, dimensions=("alignment",)).groups == 1


# Left out ------------------------------------------------------------------------------------------------------------


def test_contested_groups_are_kept_or_left_out() -> None:
    data = judging.dataset(2, 3)
    odd = data.cases.order_by("pk").first().pk
    of = dict(Candidate.objects.values_list("pk", "case_id"))
    study = make.judged(make.study(data), make.people(2), lambda who, pk, key: -pk if who and of[pk] == odd else pk)
    kept, fewer = make.labelled([study]), make.labelled([study], "Fewer", contested=False)
    assert (kept.groups, fewer.groups) == (2, 1)
    assert fewer.facts["left_out"] == {"contested": 3}
    assert kept.facts["agreement"]["quality"]["contested"] == 1


def test_flagged_and_set_aside_candidates_are_left_out_and_counted() -> None:
    data = judging.dataset(2, 3)
    pks = list(Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("pk", flat=True))
    study = make.judged(make.study(data), make.people(2), lambda who, pk, key: None if pk == pks[0] else pk)
    Candidate.objects.filter(pk__in=pks[4:6]).update(fault="blank")
    made = make.labelled([study])
    assert made.facts["left_out"] == {"alone": 1, "flagged": 1, "set_aside": 2}
    (group,) = groups_of(made)
    assert {one.key for one in group.candidates} == {str(one.uid) for one in Candidate.objects.filter(pk__in=pks[1:3])}


def test_gaps_are_those_of_the_whole_group_where_candidates_are_missing() -> None:
    data = judging.dataset(1, 4)
    pks = list(Candidate.objects.filter(case__dataset=data).order_by("pk").values_list("pk", flat=True))
    study = make.judged(make.study(data), make.people(1), lambda who, pk, key: pk)
    Candidate.objects.filter(pk__in=pks[1:3]).update(fault="blank")
    (group,) = groups_of(make.labelled([study]))
    assert [gap for _better, gap in keyed(group, "quality").values()] == [1.0]
    Candidate.objects.filter(pk=pks[2]).update(fault="")
    (group,) = groups_of(make.labelled([study], "Three"))
    assert sorted(gap for _better, gap in keyed(group, "quality").values()) == pytest.approx([1 / 3, 2 / 3, 1])


def test_one_flag_of_three_does_not_take_a_candidate_out() -> None:
    data = judging.dataset(1, 3)
    first = Candidate.objects.order_by("pk").first().pk
    study = make.judged(make.study(data), make.people(3), lambda who, pk, key: None if (who, pk) == (0, first) else pk)
    assert make.labelled([study]).candidates == 3


def test_excused_and_extra_judgements_do_not_count(ranked: Any) -> None:
    before = make.labelled([ranked])
    more = make.people(2, "late")
    make.judged(ranked, more[:1], lambda who, pk, key: -pk, flag="cannot_judge")
    make.judged(ranked, more[1:], lambda who, pk, key: -pk, is_extra=True)
    after = make.labelled([ranked], "After")
    assert after.pk == before.pk  # the same content
    assert freeze.preview([ranked], Wish())["facts"]["left_out"] == {"excused": 27}


def test_notices_and_simulation_are_said() -> None:
    data = judging.dataset(1, 2, notice="Demo data.")
    study = make.judged(make.study(data), make.people(1), lambda who, pk, key: pk)
    assert make.labelled([study]).notice == "Demo data."
    study.is_simulated = True
    study.save()
    Judgement.objects.update(remark="changed")
    Mark.objects.filter(dimension="quality").update(rank=1.5)
    made = make.labelled([study], "Simulated")
    assert made.is_simulated
    assert made.notice == "Simulation. A program made some of these judgements. Demo data."
    header, _groups = placing.open_set(made)
    assert (header.notice, header.content_hash) == (made.notice, made.content_hash)


def test_what_happens_between_order_and_job_is_said(ranked: Any) -> None:
    """Marks are read when the job runs: so are the notice and who made them."""
    made = services.start_from_studies(name="Mine", studies=[ranked], wish=Wish(), by=None)
    assert (made.notice, made.is_simulated) == ("", False)
    Dataset.objects.update(notice="Demo data.")
    robot = {"username": "simulated-honest-1-1", "is_simulated": True, "is_active": False}
    get_user_model().objects.filter(username="rater0").update(**robot)
    made = make.done(made)
    assert made.is_simulated and made.facts["raters"] == {"people": 2, "simulated": 1}
    assert made.notice == "Simulation. A program made some of these judgements. Demo data."
    assert placing.open_set(made)[0].notice == made.notice
    made.refresh_from_db()
    assert made.is_simulated and made.notice.startswith("Simulation.")


# Refusals ------------------------------------------------------------------------------------------------------------


def test_nothing_to_learn_from_is_refused_and_leaves_nothing(ranked: Any) -> None:
    Candidate.objects.update(fault="blank")
    with pytest.raises(ValidationError, match="Nothing to learn from"):
        freeze.preview([ranked], Wish())
    made = services.start_from_studies(name="None", studies=[ranked], wish=Wish(), by=None)
    with pytest.raises(JobError, match="Nothing to learn from"):
        make.done(made)
    made.refresh_from_db()
    assert made.state == SetState.FAILED and not made.manifest
    assert not default_storage.exists(f"labelled-sets/{made.uid}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"studies": []}, "Choose at least one study"),
        ({"name": "!!"}, "at least one letter"),
        ({"wish": Wish(dimensions=("beauty",))}, "None of the studies asks"),
    ],
)
def test_refusals_before_a_job_starts(ranked: Any, change: dict[str, Any], words: str) -> None:
    values = {"name": "Mine", "studies": [ranked], "wish": Wish(), "by": None, **change}
    with pytest.raises(ValidationError, match=words):
        services.start_from_studies(**values)
    assert not LabelledSet.objects.exists()


def test_a_name_twice_and_a_study_nobody_judged_are_refused(ranked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    services.start_from_studies(name="Mine", studies=[ranked], wish=Wish(), by=None)
    with pytest.raises(ValidationError, match="of this name already"):
        services.start_from_studies(name="mine", studies=[ranked], wish=Wish(), by=None)
    monkeypatch.setattr(services, "slug_of", lambda name: "mine")
    monkeypatch.setattr(LabelledSet, "full_clean", lambda *_arguments, **_more: None)  # neither saw the other click
    with pytest.raises(ValidationError, match="of this name already"):
        services.start_from_studies(name="mine", studies=[ranked], wish=Wish(), by=None)
    assert LabelledSet.objects.count() == Job.objects.count() == 1
    monkeypatch.undo()
    with pytest.raises(ValidationError, match="Nobody has judged"):
        services.start_from_studies(name="Other", studies=[make.study(judging.dataset(1))], wish=Wish(), by=None)


def test_a_deleted_study_fails_the_job(ranked: Any) -> None:
    made = services.start_from_studies(name="Mine", studies=[ranked], wish=Wish(), by=None)
    ranked.delete()
    with pytest.raises(JobError, match="was deleted"):
        make.done(made)


# Large ---------------------------------------------------------------------------------------------------------------


def test_two_thousand_groups_go_by_in_chunks(django_assert_max_num_queries: Any) -> None:
    """Rows are read 500 cases at a time: the number of queries grows with the chunks, not with the groups."""
    data = _many(2000)
    study = _judged_in_bulk(data)
    made = services.start_from_studies(name="Many", studies=[study], wish=Wish(near=False), by=None)
    with django_assert_max_num_queries(90):
        made = make.done(made)
    assert made.groups == 2000
    assert made.facts["splits"] == pytest.approx({"train": 1428, "dev": 286, "test": 286}, abs=60)
    assert sum(made.facts["dimensions"]["overall"]["pairs"].values()) == 2000


def _many(count: int) -> Any:
    data = judging.dataset(0, 2)
    editors = list(Editor.objects.values_list("pk", flat=True)[:2])
    images = StoredImage.objects.bulk_create(
        StoredImage(
            sha256=f"{n:064x}", original="o", view="v", format="PNG", size=1, width=8, height=8, view_width=8,
            view_height=8,
        )
        for n in range(3 * count)
    )  # fmt: skip
    cases = Case.objects.bulk_create(
        Case(dataset=data, key=f"k{n}", source=images[n], task_id="add", instruction="Do it") for n in range(count)
    )
    Candidate.objects.bulk_create(
        Candidate(case=case, editor_id=editors[side], image=images[(side + 1) * count + n], settings_hash="x")
        for n, case in enumerate(cases)
        for side in (0, 1)
    )
    return data


def _judged_in_bulk(data: Any) -> Any:
    """One comparison of each case, as rows; the candidate with the lower key is better."""
    made = make.study(data, "pairwise")
    (user,) = make.people(1)
    orders: dict[int, list[int]] = {}
    for unit, pk in made.units.order_by("pk", "item__entries").values_list("pk", "item__entries__candidate"):
        orders.setdefault(unit, []).append(pk)
    now = timezone.now()
    lent = Assignment.objects.bulk_create(
        Assignment(study=made, unit_id=unit, annotator=user, state="done", order=order, leased_until=now)
        for unit, order in orders.items()
    )
    given = Judgement.objects.bulk_create(
        Judgement(study=made, unit_id=one.unit_id, assignment=one, annotator=user, answer={"choice": "A"})
        for one in lent
    )
    Mark.objects.bulk_create(
        Mark(judgement=one, candidate_id=pk, dimension="overall", rank=rank)
        for one in given
        for rank, pk in enumerate(sorted(one.assignment.order), start=1)
    )
    return made
