"""Questions about edits of the drawn world: their true answers, which are proposed, and how wordings are recognised."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawnworld.edits import TASKS, Edit, Pair, apply, draw_pair, edit_mask
from drawnworld.families import IMPRESSION, KEEPING, LOCAL
from drawnworld.flaws import drifted, noisy, wrong_object
from drawnworld.questions import FAMILIES, families_of, recognise, suggestions
from drawnworld.render import Image, render
from drawnworld.scene import Scene, Thing
from drawnworld.score import true_score
from drawnworld.truths import CAST_LIMIT, GRAIN_LIMIT, KEPT_LIMIT, Attempt, smooth, unit

GOOD = {key for key, family in FAMILIES.items() if family.useful and not family.fault}
FAULTS = {key for key, family in FAMILIES.items() if family.fault}
USELESS = {key for key, family in FAMILIES.items() if not family.useful}
CHANGES = {"done", "gone", "colour", "background", "blurred", "light", "style", "place", "there"}
CIRCLE, SQUARE = Thing("circle", "red", 0), Thing("square", "blue", 3)
SCENE = Scene((CIRCLE, SQUARE), "plain", "sand")


def pair_of(edit: Edit, scene: Scene = SCENE) -> Pair:
    return Pair(scene, edit, render(scene), render(apply(scene, edit)), edit_mask(scene, edit))


REMOVE = pair_of(Edit("remove", "remove the circle", before=CIRCLE))
RECOLOUR = pair_of(Edit("color", "make the circle green", before=CIRCLE, after=replace(CIRCLE, colour="green")))
ADD = pair_of(Edit("add", "add a green ring at the top right", after=Thing("ring", "green", 1)))


def truths(pair: Pair, edited: Image) -> dict[str, float]:
    attempt = Attempt(pair, edited)
    return {family.key: family.truth(attempt) for family in families_of(pair.edit.task)}


def mixed(pair: Pair, amount: float) -> Image:
    return ((1 - amount) * pair.source + amount * pair.target + 0.5).astype(np.uint8)


def score(pair: Pair, edited: Image) -> float:
    return true_score(pair.source, pair.target, pair.mask, edited).score


@pytest.mark.parametrize("task", TASKS)
def test_the_exact_edit_has_every_good_answer_and_no_fault(task: str) -> None:
    for index in range(10):
        pair = draw_pair(70_001, index, task)
        found = truths(pair, pair.target)
        assert {key for key in found if key in GOOD} >= {IMPRESSION, "done", "complete", "clean"}
        assert {key: value for key, value in found.items() if key in GOOD} == pytest.approx(
            {key: 1.0 for key in found if key in GOOD}, abs=1e-6
        )
        assert all(found[key] == pytest.approx(0, abs=1e-6) for key in found if key in FAULTS)


@pytest.mark.parametrize("task", TASKS)
def test_doing_nothing_keeps_all_and_does_nothing(task: str) -> None:
    for index in range(10):
        pair = draw_pair(70_002, index, task)
        found = truths(pair, pair.source)
        if np.abs(unit(pair.source) - unit(pair.target))[pair.mask].mean() > 0.06:  # else little is nearly nothing
            assert all(found[key] < 0.1 for key in found if key in CHANGES | {"complete", "no-leftover", IMPRESSION})
        assert found["clean"] > 0.99
        assert all(found[key] > 0.8 for key in ("rest-kept", "objects-kept", "no-cast") if key in found)


@given(amount=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_a_blend_is_done_by_its_share(amount: float) -> None:
    for pair, own in ((REMOVE, "gone"), (RECOLOUR, "colour"), (ADD, "place")):
        found = truths(pair, mixed(pair, amount))
        assert found["done"] == pytest.approx(amount, abs=0.01)
        assert found[own] == pytest.approx(amount, abs=0.01)
        assert found[IMPRESSION] == pytest.approx(amount, abs=0.02)
        assert found["complete"] == pytest.approx(max(2 * amount - 1, 0), abs=0.02)
        assert found["rest-kept"] == 1
    assert truths(REMOVE, mixed(REMOVE, amount))["leftover"] == pytest.approx(min(2 - 2 * amount, 1), abs=0.02)


def test_an_object_at_the_wrong_place_is_there_and_makes_a_good_impression() -> None:
    wrong = replace(ADD.edit, after=Thing("ring", "green", 2))
    found = truths(ADD, render(apply(SCENE, wrong)))
    assert found["there"] == pytest.approx(1, abs=1e-6)
    assert found["place"] == pytest.approx(0, abs=1e-6) and found["done"] < 0.01
    assert found[IMPRESSION] > 0.7
    assert found["objects-kept"] == 1


def test_an_edit_of_the_wrong_object_follows_nothing_and_keeps_nothing() -> None:
    edited = render(apply(SCENE, Edit("remove", "", before=SQUARE)))
    found = truths(REMOVE, edited)
    assert found["gone"] == 0 and found["objects-kept"] == 0 and found["leftover"] == 1
    assert found["backdrop-kept"] > 0.95  # but for the soft edge of the square
    assert found[IMPRESSION] == pytest.approx(0.75, abs=0.05)  # as much has changed as should have


def test_a_shift_of_the_colours_is_a_cast_by_its_size() -> None:
    for levels in (5, 10):
        assert REMOVE.target.min() >= levels  # nothing is clipped: the arithmetic is exact
        edited = (REMOVE.target - levels).astype(np.uint8)
        found = truths(REMOVE, edited)
        assert found["no-cast"] == pytest.approx(1 - levels / 255 / CAST_LIMIT, abs=1e-5)
        assert found["rest-kept"] == pytest.approx(1 - levels / 255 / KEPT_LIMIT, abs=1e-5)
        assert found["clean"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_grain_is_noise_by_its_size_and_hardly_anything_else(task: str) -> None:
    rng, pair = random.Random(3), draw_pair(70_003, 1, task)
    made = [noisy(pair, rng) for _ in range(8)]
    found, amounts = [truths(pair, one.image) for one in made], [one.settings["amount"] for one in made]
    clean = [one["clean"] for one in found]
    assert max(clean) < 0.75 and np.corrcoef(clean, amounts)[0, 1] < -0.8
    assert all(one["noise"] == pytest.approx(1 - one["clean"]) for one in found)
    if task in KEEPING:
        assert min(one["no-cast"] for one in found) > 0.7


def test_half_of_the_grain_limit_is_half_clean() -> None:
    """A chequerboard of +d and -d: its 3 x 3 mean is d/9 of the pixel's sign, so the fine difference is 8/9 d."""
    sign = np.where(np.indices((64, 64)).sum(0) % 2, 1, -1)[..., None]
    levels = round(GRAIN_LIMIT / 2 * 255)
    edited = (REMOVE.target.astype(int) + sign * levels).astype(np.uint8)
    assert truths(REMOVE, edited)["clean"] == pytest.approx(1 - levels / 255 * 8 / 9 / GRAIN_LIMIT, abs=1e-3)


def test_questions_that_say_nothing_of_the_edit_do_not_depend_on_it() -> None:
    rng = random.Random(1)
    for index in range(20):
        pair = draw_pair(70_004, index)
        images = [pair.source, pair.target, wrong_object(pair, rng).image, drifted(pair, rng).image]
        for key in USELESS - {"bright"}:
            assert len({truths(pair, image)[key] for image in images}) == 1
    assert truths(REMOVE, REMOVE.target) | {"red": 1, "circle": 1, "striped": 0, "three": 0} == truths(
        REMOVE, REMOVE.target
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_first_suggestions_correlate_with_the_true_score_and_a_useless_question_does_not(task: str) -> None:
    """With exact answers: one good question lifts the impression, a bad one lowers it again."""
    rng, rows, scores = random.Random(task), [], []
    for index in range(30):
        pair = draw_pair(70_005, index, task)
        images = [attempt(pair, rng).image for attempt in (drifted, noisy, wrong_object)]
        images += [pair.source, pair.target, mixed(pair, rng.uniform(0.3, 0.7))]
        rows += [truths(pair, image) for image in images]
        scores += [score(pair, image) for image in images]

    def pcc(*keys: str) -> float:
        return float(np.corrcoef([sum(row[key] for key in keys) for row in rows], scores)[0, 1])

    first, second = (key for key, _ in suggestions(task)[:2])
    assert pcc(IMPRESSION) < 0.8 < pcc(IMPRESSION, first) < pcc(IMPRESSION, first, second) + 0.02
    assert pcc(IMPRESSION, first, second, "striped") < pcc(IMPRESSION, first, second) - 0.02
    assert abs(pcc("striped")) < 0.25


def test_wordings_are_plain_different_and_none_is_in_two_families() -> None:
    known = [text for family in FAMILIES.values() for text in family.wordings]
    unseen = [text for family in FAMILIES.values() for text in family.unseen]
    assert len(set(known + unseen)) == len(known) + len(unseen)
    assert all(text.endswith("?") and text.count("?") == 1 for text in known + unseen)
    assert all(len(family.wordings) >= 5 and len(family.unseen) == 2 for family in FAMILIES.values())
    assert all(set(family.tasks) <= set(TASKS) and key == family.key for key, family in FAMILIES.items())
    assert len(USELESS) >= 3 and len(FAULTS) >= 3


def test_suggestions_are_good_questions_of_the_task_the_basic_first() -> None:
    assert [key for key, _ in suggestions("color")[:3]] == ["colour", "rest-kept", "done"]
    assert [key for key, _ in suggestions("remove")[:2]] == ["gone", "rest-kept"]
    for task in TASKS:
        found = suggestions(task)
        keys = [key for key, _ in found]
        assert len(set(keys)) == len(keys) >= 4
        assert set(keys) <= GOOD - {IMPRESSION} and all(task in FAMILIES[key].tasks for key in keys)
        assert all(text in FAMILIES[key].wordings for key, text in found)
        assert keys[0] not in ("done", "clean", "complete")
    with pytest.raises(KeyError):
        suggestions("upscale")


def test_keeping_is_not_asked_where_everything_changes() -> None:
    assert set(LOCAL) < set(KEEPING)
    for task in ("relight", "style"):
        assert not {"rest-kept", "objects-kept", "no-cast"} & {family.key for family in families_of(task)}


def test_a_wording_is_recognised_and_so_is_one_with_nearly_its_words() -> None:
    for family in FAMILIES.values():
        for text in family.wordings:
            assert recognise(text) is family
            assert recognise(text.upper().replace("COLOUR", "COLOR") + " ") is family
    assert recognise("Is everything else there unchanged ?") is FAMILIES["rest-kept"]
    unseen = [(recognise(text), family) for family in FAMILIES.values() for text in family.unseen]
    assert sum(found is family for found, family in unseen) > len(unseen) / 2


@pytest.mark.parametrize("text", ["Is the person smiling?", "", "?", "the", "Is the text legible?", "Was it the best?"])
def test_other_texts_are_of_no_family(text: str) -> None:
    assert recognise(text) is None


def test_smoothing_is_the_mean_of_nine_pixels() -> None:
    picture = np.random.default_rng(0).random((6, 5, 3)).astype(np.float32)
    found = smooth(picture)
    assert found.shape == picture.shape
    assert found[2, 2] == pytest.approx(picture[1:4, 1:4].mean((0, 1)), abs=1e-6)
    corner = (4 * picture[0, 0] + 2 * picture[0, 1] + 2 * picture[1, 0] + picture[1, 1]) / 9  # edges are repeated
    assert found[0, 0] == pytest.approx(corner, abs=1e-6)
    assert unit(np.full((2, 2, 3), 255, np.uint8)).max() == 1
