"""Making a benchmark of editors: what is chosen and kept, and every refusal."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from annotation.models import Case, Dataset, Task
from scoring.models import Activation, Prompt, PromptVersion
from tests.training_editor_benchmarks import rows
from training.editor_benchmarks import services
from training.models import EditorBenchmark, Stage, Style


@pytest.fixture
def create(db: None) -> Callable[..., EditorBenchmark]:
    data = rows.dataset(notice="Demo data.")
    editors = rows.editors_of(data)
    rows.version()
    rows.gedit()

    def make(**more: Any) -> EditorBenchmark:
        values = {
            "name": "Held out",
            "style": Style.HP,
            "dataset": data,
            "split": "",
            "editors": editors,
            "base": editors[0],
            "judge": rows.judge(),
            "seeds": 1,
            "by": None,
            **more,
        }
        return services.create(**values)

    return make


def refused(make: Callable[..., EditorBenchmark], field: str | None, words: str, **more: Any) -> None:
    before = (EditorBenchmark.objects.count(), Dataset.objects.count())
    with pytest.raises(ValidationError) as error:
        make(**more)
    told = error.value.message_dict[field] if field else error.value.messages
    assert words in " ".join(told)
    assert (EditorBenchmark.objects.count(), Dataset.objects.count()) == before


def test_it_works(create: Callable[..., EditorBenchmark]) -> None:
    made = create()
    newest = PromptVersion.objects.get(prompt__slug="overall-add")
    assert made.asked == {"versions": {"add": str(newest.uid)}, "active": [], "left_out": []}
    assert (made.slug, made.editors.count(), made.base.slug if made.base else "") == ("held-out", 2, "editor-0")


def test_the_active_scorer_is_kept_by_its_version(create: Callable[..., EditorBenchmark]) -> None:
    """A newer version, or another active scorer, does not change a benchmark that is there."""
    first = PromptVersion.objects.get(prompt__slug="overall-add")
    second = PromptVersion.objects.create(prompt=first.prompt, number=2, preamble="P2", rubric="R2")
    task = Task.objects.get(pk="add")
    active = {"task": task, "dimension": "overall", "judge": rows.judge(), "figures": {}}
    Activation.objects.create(version=first, **active)
    made = create()
    assert (made.asked["versions"], made.asked["active"]) == ({"add": str(first.uid)}, ["add"])
    Activation.objects.update(version=second)
    made.refresh_from_db()
    assert made.asked["versions"] == {"add": str(first.uid)}


def test_a_task_without_an_overall_prompt_is_left_out(create: Callable[..., EditorBenchmark]) -> None:
    case = Case.objects.order_by("pk").last()
    assert case is not None
    case.task_id = "denoise" if Task.objects.filter(pk="denoise").exists() else Task.objects.exclude(pk="add")[0].pk
    case.save()
    assert create().asked["left_out"] == [case.task_id]


def test_gedit_asks_for_consistency_and_quality(create: Callable[..., EditorBenchmark]) -> None:
    made = create(style=Style.GEDIT)
    assert made.asked == {"versions": {name: str(one.uid) for name, one in rows.gedit().items()}}


def test_a_reward_model_scores_every_task_by_its_own_prompt(create: Callable[..., EditorBenchmark], db: None) -> None:
    version = rows.version("reward", None, dimension="reward", low=1)
    judge = rows.judge(kind="reward")
    with pytest.raises(ValidationError):  # the version of the registry that the judge names is not there
        create(judge=judge)
    from training.editor_benchmarks.styles import asked_of

    found = asked_of(Style.HP, [Task.objects.get(pk="add")], judge, {})
    assert found["versions"] == {"add": str(rows.newest(version).uid)}


def test_dreambench_names_its_weights(create: Callable[..., EditorBenchmark]) -> None:
    made = create(style=Style.DREAM, models={"dino": "/models/dino", "clip": "/models/clip"})
    assert (made.asked, made.judge) == ({"dino": "/models/dino", "clip": "/models/clip"}, None)
    refused(create, "clip", "without them", name="2", style=Style.DREAM, models={"dino": "/models/dino"})


def test_chinese_instructions_are_cases_of_their_own(create: Callable[..., EditorBenchmark]) -> None:
    """Their images must not be taken for those of the English instructions; made once, however often they are asked."""
    for case in Case.objects.all():
        case.instruction_zh = f"编辑 {case.pk}"
        case.save()
    made = create(language="zh")
    told = dict(made.dataset.cases.values_list("key", "instruction"))
    source = made.dataset.derived_from
    assert source is not None
    assert told == dict(source.cases.values_list("key", "instruction_zh"))
    assert made.dataset.notice == "Demo data."
    again = create(name="Again", language="zh", dataset=source)
    assert again.dataset == made.dataset
    Case.objects.filter(dataset=source, key="case-000").update(instruction_zh="别的")
    third = create(name="Third", language="zh", dataset=source)
    assert third.dataset not in (made.dataset, source)


def test_a_case_without_a_chinese_instruction_is_refused(create: Callable[..., EditorBenchmark]) -> None:
    refused(create, "dataset", "4 of 4 cases have no Chinese instruction", language="zh")


def test_a_name_is_taken_once(create: Callable[..., EditorBenchmark]) -> None:
    create()
    refused(create, "name", "of this name already", name="held OUT")
    refused(create, "name", "at least one Latin letter", name="测试")


def test_the_base_takes_part(create: Callable[..., EditorBenchmark]) -> None:
    data = rows.dataset(editors=3)
    refused(create, "base", "must be among the editors", base=rows.editors_of(data)[2])
    refused(create, "editors", "at least one", editors=[], base=None)


def test_a_split_without_cases_is_refused(create: Callable[..., EditorBenchmark]) -> None:
    refused(create, "split", "no case in this split", split="bench")


def test_scores_need_a_judge_that_can_be_asked(create: Callable[..., EditorBenchmark]) -> None:
    refused(create, "judge", "Choose the judge", judge=None)
    refused(create, "judge", "no kind of judge", judge=rows.judge(kind="gone"))
    refused(create, "judge", "does not exist", judge=rows.judge(kind="endpoint"))


def test_without_an_overall_prompt_there_is_no_hp_score(create: Callable[..., EditorBenchmark]) -> None:
    Prompt.objects.update(dimension="looks")
    refused(create, "dataset", "No prompt gives an overall score")


def test_prompts_of_several_scales_are_refused(create: Callable[..., EditorBenchmark]) -> None:
    case = Case.objects.order_by("pk").last()
    assert case is not None
    case.task_id = "remove"
    case.save()
    rows.version("overall-remove", "remove", low=1)
    refused(create, "dataset", "several scales (0–5, 1–5)")


def test_gedit_without_its_prompts_is_refused(create: Callable[..., EditorBenchmark]) -> None:
    PromptVersion.objects.filter(prompt__slug="gedit-sc").update(is_trial=True)
    refused(create, None, "gedit-sc", style=Style.GEDIT)


def test_a_benchmark_has_a_limit(create: Callable[..., EditorBenchmark], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_SAMPLES", 7)
    refused(create, None, "more than 7 images")


# Afterwards ----------------------------------------------------------------------------------------------------------


def test_the_editors_can_be_changed(create: Callable[..., EditorBenchmark]) -> None:
    made = create()
    third = rows.editors_of(rows.dataset(editors=3))[2]
    services.change_editors(benchmark=made, editors=[third], base=third)
    made.refresh_from_db()
    assert (made.base, list(made.editors.all())) == (third, [third])
    with pytest.raises(ValidationError, match="must be among"):
        services.change_editors(benchmark=made, editors=[third], base=rows.editors_of(made.dataset)[0])


def test_a_benchmark_that_is_being_filled_stays_as_it_is(create: Callable[..., EditorBenchmark]) -> None:
    made = create()
    EditorBenchmark.objects.update(stage=Stage.IMAGES)
    with pytest.raises(ValidationError, match="being filled"):
        services.change_editors(benchmark=made, editors=list(made.editors.all()), base=made.base)
    with pytest.raises(ValidationError, match="being filled"):
        services.delete(benchmark=made)
    EditorBenchmark.objects.update(stage="")
    services.delete(benchmark=made)
    assert not EditorBenchmark.objects.exists()
