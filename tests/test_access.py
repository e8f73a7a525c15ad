"""Every address × every role: who gets in, who is sent to sign in, who is told that there is nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from annotation.entry.services import Example, add_reference, publish_guidelines
from annotation.models import Dataset
from scoring.models import Calibration, Judge, PromptVersion, Suggestion, UnclearPoint, VoteSet
from scoring.prompts.loading import load_prompts
from tests import make
from tests.benchmarks import rows as benches
from tests.conftest import Keep, own_settings
from tests.elsewhere.files import set_of_judgements
from tests.freezing import frozen
from tests.recipes import recipe_row
from tests.reward_models import model_row
from tests.scoring_items.make import give
from tests.training_editor_benchmarks.rows import benchmark as make_editor_benchmark
from tests.training_proof.make import row as proof_row
from tests.training_runs.rows import run_row, trained_row
from tests.training_runs.sweep_rows import sweep_row
from tests.training_sets.make import set_row as make_set
from webapp.accounts import services as accounts
from webapp.accounts.models import User
from webapp.accounts.tokens import make_token
from webapp.endpoints.models import Endpoint
from webapp.hooks.models import Delivery, Webhook
from webapp.jobs import services as jobs

OK, LOGIN, NO, GONE, BAD, METHOD, UNSIGNED = 200, 302, 403, 404, 400, 405, 401

# name: (method, arguments, anonymous, mallory, carol, bob, alice). mallory is a signed-in annotator of nothing;
# carol is a member of the study; bob is an engineer who owns nothing here; alice is the admin.
RULES: dict[str, tuple[str, str, int, int, int, int, int]] = {
    "health": ("get", "", OK, OK, OK, OK, OK),
    "home": ("get", "", LOGIN, LOGIN, LOGIN, LOGIN, LOGIN),
    "overview": ("get", "", LOGIN, NO, NO, OK, OK),
    "overview_now": ("get", "", LOGIN, NO, NO, OK, OK),
    "overview_live": ("get", "", GONE, GONE, GONE, OK, OK),
    "metrics": ("get", "", GONE, GONE, GONE, GONE, GONE),
    "people": ("get", "", LOGIN, NO, NO, NO, OK),
    "change_person": ("post", "user", LOGIN, NO, NO, NO, LOGIN),
    "withdraw_invitation": ("post", "invitation", LOGIN, NO, NO, NO, LOGIN),
    "accept_invitation": ("get", "token", OK, OK, OK, OK, OK),
    "jobs": ("get", "", LOGIN, NO, NO, OK, OK),
    "job": ("get", "job", LOGIN, NO, NO, OK, OK),
    "job_status": ("get", "job", LOGIN, NO, NO, OK, OK),
    "job_part": ("get", "job", LOGIN, NO, NO, 204, 204),
    "job_cancel": ("post", "job", LOGIN, NO, NO, NO, LOGIN),
    "job_resume": ("post", "job", LOGIN, NO, NO, NO, LOGIN),
    "job_clone": ("post", "job", LOGIN, NO, NO, LOGIN, LOGIN),
    "endpoints": ("get", "", LOGIN, NO, NO, NO, OK),
    "endpoint_new": ("get", "", LOGIN, NO, NO, NO, OK),
    "endpoint": ("get", "endpoint", LOGIN, NO, NO, NO, OK),
    "endpoint_delete": ("post", "endpoint", LOGIN, NO, NO, NO, LOGIN),
    "endpoint_try": ("post", "endpoint", LOGIN, NO, NO, NO, LOGIN),
    "work": ("get", "", LOGIN, OK, OK, OK, OK),
    "workplace": ("get", "study", LOGIN, GONE, OK, GONE, GONE),
    "work_next": ("json", "study", UNSIGNED, GONE, OK, GONE, GONE),
    "work_events": ("json", "study", UNSIGNED, GONE, BAD, GONE, GONE),
    "work_back": ("json", "study", UNSIGNED, GONE, OK, GONE, GONE),
    "way_in": ("get", "study", LOGIN, GONE, LOGIN, GONE, GONE),  # nothing to pass, so on to the work
    "work_guidelines": ("get", "study", LOGIN, GONE, OK, GONE, GONE),
    "guideline_image": ("get", "guideline_image", LOGIN, GONE, OK, GONE, GONE),
    "viewing_chart": ("get", "viewing_chart", LOGIN, GONE, OK, GONE, GONE),
    "practice": ("get", "study", LOGIN, GONE, LOGIN, GONE, GONE),
    "practice_next": ("json", "study", UNSIGNED, GONE, OK, GONE, GONE),
    "practice_events": ("json", "study", UNSIGNED, GONE, BAD, GONE, GONE),
    "practice_back": ("json", "study", UNSIGNED, GONE, OK, GONE, GONE),
    "work_image": ("get", "assignment", LOGIN, GONE, OK, GONE, GONE),
    "datasets": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_import": ("get", "", LOGIN, NO, NO, OK, OK),
    "dataset": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "import_into": ("get", "dataset", LOGIN, NO, NO, NO, OK),
    "dataset_candidates": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "faults": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "check_outputs": ("post", "dataset", LOGIN, NO, NO, LOGIN, LOGIN),
    "fault": ("post", "candidate", LOGIN, NO, NO, BAD, BAD),
    "statistics": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "versions": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "freeze": ("post", "dataset", LOGIN, NO, NO, LOGIN, LOGIN),
    "version": ("get", "version", LOGIN, NO, NO, OK, OK),
    "version_manifest": ("get", "version", LOGIN, NO, NO, OK, OK),
    "version_export": ("post", "version", LOGIN, NO, NO, LOGIN, LOGIN),
    "version_file": ("get", "job", LOGIN, NO, NO, GONE, GONE),
    "case": ("get", "case", LOGIN, NO, NO, OK, OK),
    "proposals": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "review": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "review_events": ("json", "dataset", UNSIGNED, NO, NO, OK, OK),
    "categories": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "duplicates": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "hash_sources": ("post", "dataset", LOGIN, NO, NO, LOGIN, LOGIN),
    "tagging": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "tagging_events": ("json", "dataset", UNSIGNED, NO, NO, OK, OK),
    "balance": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "splits": ("post", "dataset", LOGIN, NO, NO, NO, OK),
    "compare": ("get", "case", LOGIN, NO, NO, OK, OK),
    "candidate": ("get", "candidate", LOGIN, NO, NO, OK, OK),
    "image": ("get", "image", LOGIN, NO, NO, OK, OK),
    "attribution": ("get", "", LOGIN, OK, OK, OK, OK),
    "studies": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_study": ("get", "", LOGIN, NO, NO, OK, OK),
    "study": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_figures": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_agreement": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_report": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_report_file": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_annotators": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_leaderboard": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_editor": ("get", "study_editor", LOGIN, NO, NO, OK, OK),
    "study_figure_csv": ("get", "study_figure", LOGIN, NO, NO, OK, OK),
    "study_state": ("post", "study", LOGIN, NO, NO, NO, LOGIN),
    "study_members": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_remove_member": ("post", "member", LOGIN, NO, NO, NO, LOGIN),
    "study_guidelines": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_guidelines_history": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_entry": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_entry_pick": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_reference_new": ("get", "study", LOGIN, NO, NO, LOGIN, LOGIN),  # it names no candidates
    "study_reference_withdraw": ("post", "reference", LOGIN, NO, NO, NO, LOGIN),
    "study_entry_people": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_entry_decide": ("post", "way_in_of", LOGIN, NO, NO, NO, LOGIN),
    "study_checks": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_look": ("post", "study", LOGIN, NO, NO, NO, LOGIN),
    "study_concerns": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_decide": ("post", "concern", LOGIN, NO, NO, NO, LOGIN),
    "study_decisions": ("get", "study", LOGIN, NO, NO, OK, OK),
    "study_annotator": ("get", "member", LOGIN, NO, NO, OK, OK),
    "work_message": ("get", "study", LOGIN, GONE, LOGIN, GONE, GONE),  # there is none, so on to the work
    "study_simulate": ("post", "study", LOGIN, NO, NO, NO, LOGIN),
    "study_ask_more": ("post", "study", LOGIN, NO, NO, NO, LOGIN),
    "study_export": ("post", "study", LOGIN, NO, NO, LOGIN, LOGIN),
    "items": ("get", "study", LOGIN, NO, NO, OK, OK),
    "contested": ("get", "study", LOGIN, NO, NO, OK, OK),
    "item": ("get", "item", LOGIN, NO, NO, OK, OK),
    "adjudicate": ("get", "item", LOGIN, NO, NO, NO, OK),
    "judgement": ("get", "judgement", LOGIN, NO, NO, OK, OK),
    "prompts": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_prompt": ("get", "", LOGIN, NO, NO, OK, OK),
    "prompt": ("get", "prompt", LOGIN, NO, NO, OK, OK),
    "prompt_version": ("get", "prompt_version", LOGIN, NO, NO, OK, OK),
    "new_prompt_version": ("get", "prompt_version", LOGIN, NO, NO, OK, OK),
    "drop_prompt_trial": ("post", "prompt_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "exports": ("get", "", LOGIN, NO, NO, OK, OK),
    "export_file": ("get", "job", LOGIN, NO, NO, GONE, GONE),
    "generate": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "recipes": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_recipe": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "recipe": ("get", "recipe", LOGIN, NO, NO, OK, OK),
    "recipe_now": ("get", "recipe", LOGIN, NO, NO, OK, OK),
    "recipe_go_on": ("post", "recipe", LOGIN, NO, NO, NO, LOGIN),
    "recipe_try_again": ("post", "recipe", LOGIN, NO, NO, NO, LOGIN),
    "recipe_stop": ("post", "recipe", LOGIN, NO, NO, NO, LOGIN),
    "labelled_sets": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_labelled_set": ("get", "", LOGIN, NO, NO, OK, OK),
    "import_labelled_set": ("get", "", LOGIN, NO, NO, OK, OK),
    "labelled_set": ("get", "labelled_set", LOGIN, NO, NO, OK, OK),
    "labelled_set_pairs": ("get", "labelled_set", LOGIN, NO, NO, GONE, GONE),  # it is not made yet
    "labelled_set_file": ("get", "labelled_set", LOGIN, NO, NO, GONE, GONE),
    "rename_labelled_set": ("post", "labelled_set", LOGIN, NO, NO, NO, LOGIN),
    "delete_labelled_set": ("post", "labelled_set", LOGIN, NO, NO, NO, LOGIN),
    "editors": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_editor": ("get", "module", LOGIN, NO, NO, OK, OK),
    "editor": ("get", "editor", LOGIN, NO, NO, OK, OK),
    "delete_editor": ("post", "editor", LOGIN, NO, NO, LOGIN, LOGIN),
    "reward_models": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_reward_model": ("get", "", LOGIN, NO, NO, OK, OK),
    "reward_model": ("get", "reward_model", LOGIN, NO, NO, OK, OK),
    "reward_model_file": ("get", "reward_model", LOGIN, NO, NO, OK, OK),
    "reward_model_judge": ("post", "reward_model", LOGIN, NO, NO, LOGIN, LOGIN),
    "reward_model_note": ("post", "reward_model", LOGIN, NO, NO, NO, LOGIN),
    "delete_reward_model": ("post", "reward_model", LOGIN, NO, NO, NO, LOGIN),
    "benchmarks": ("get", "", LOGIN, NO, NO, OK, OK),
    "import_benchmark": ("get", "", LOGIN, NO, NO, NO, OK),
    "benchmark": ("get", "benchmark", LOGIN, NO, NO, OK, OK),
    "refresh_benchmark": ("post", "benchmark", LOGIN, NO, NO, LOGIN, LOGIN),
    "benchmark_table": ("get", "benchmark", LOGIN, NO, NO, OK, OK),
    "delete_benchmark": ("post", "benchmark", LOGIN, NO, NO, NO, LOGIN),
    "editor_benchmarks": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_editor_benchmark": ("get", "", LOGIN, NO, NO, OK, OK),
    "editor_benchmark": ("get", "editor_benchmark", LOGIN, NO, NO, OK, OK),
    "editor_benchmark_now": ("get", "editor_benchmark", LOGIN, NO, NO, OK, OK),
    "fill_editor_benchmark": ("post", "editor_benchmark", LOGIN, NO, NO, LOGIN, LOGIN),
    "change_editor_benchmark": ("post", "editor_benchmark", LOGIN, NO, NO, NO, OK),
    "editor_benchmark_gallery": ("get", "editor_benchmark", LOGIN, NO, NO, OK, OK),
    "editor_benchmark_table": ("get", "editor_benchmark", LOGIN, NO, NO, OK, OK),
    "delete_editor_benchmark": ("post", "editor_benchmark", LOGIN, NO, NO, NO, LOGIN),
    "proofs": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_proof": ("get", "editor", LOGIN, NO, NO, OK, OK),
    "proof": ("get", "proof", LOGIN, NO, NO, OK, OK),
    "proof_now": ("get", "proof", LOGIN, NO, NO, OK, OK),
    "proof_begin": ("post", "proof", LOGIN, NO, NO, NO, LOGIN),
    "proof_pairs": ("get", "proof", LOGIN, NO, NO, OK, OK),
    "proof_table": ("get", "proof", LOGIN, NO, NO, OK, OK),
    "runs": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_run": ("get", "", LOGIN, NO, NO, NO, OK),
    "run_curve": ("get", "", LOGIN, NO, NO, OK, OK),
    "compare_runs": ("get", "", LOGIN, NO, NO, OK, OK),
    "run_samples": ("get", "run", LOGIN, NO, NO, OK, OK),
    "run_sample": ("get", "run_sample", LOGIN, NO, NO, GONE, GONE),  # there is no such picture
    "run_go_on": ("post", "run", LOGIN, NO, NO, NO, LOGIN),
    "run_keep": ("post", "run", LOGIN, NO, NO, NO, LOGIN),
    "sweeps": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_sweep": ("get", "", LOGIN, NO, NO, NO, OK),
    "sweep": ("get", "sweep", LOGIN, NO, NO, OK, OK),
    "sweep_now": ("get", "sweep", LOGIN, NO, NO, OK, OK),
    "sweep_table": ("get", "sweep", LOGIN, NO, NO, OK, OK),
    "sweep_cancel": ("post", "sweep", LOGIN, NO, NO, NO, LOGIN),
    "sweep_resume": ("post", "sweep", LOGIN, NO, NO, NO, LOGIN),
    "delete_sweep": ("post", "sweep", LOGIN, NO, NO, NO, LOGIN),
    "trained_editor": ("get", "trained_editor", LOGIN, NO, NO, OK, OK),
    "trained_editor_file": ("get", "trained_editor", LOGIN, NO, NO, GONE, GONE),  # its file is not there
    "vote_sets": ("get", "", LOGIN, NO, NO, OK, OK),
    "vote_set": ("get", "votes", LOGIN, NO, NO, OK, OK),
    "vote_set_table": ("get", "votes", LOGIN, NO, NO, OK, OK),
    "delete_vote_set": ("post", "votes", LOGIN, NO, NO, NO, LOGIN),
    "judgement_sets": ("get", "", LOGIN, NO, NO, OK, OK),
    "judgement_set": ("get", "judgement_set", LOGIN, NO, NO, OK, OK),
    "judgement_scores": ("get", "judgement_set", LOGIN, NO, NO, GONE, GONE),  # they are not computed yet
    "judgement_figures": ("post", "judgement_set", LOGIN, NO, NO, NO, LOGIN),
    "delete_judgements": ("post", "judgement_set", LOGIN, NO, NO, NO, LOGIN),
    "judges": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_judge": ("get", "judge_kind", LOGIN, NO, NO, OK, OK),
    "judge": ("get", "judge", LOGIN, NO, NO, OK, OK),
    "delete_judge": ("post", "judge", LOGIN, NO, NO, NO, LOGIN),
    "score_dataset": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "hard_cases": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "curation": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "scored_candidates": ("get", "dataset", LOGIN, NO, NO, OK, OK),
    "calibrations": ("get", "", LOGIN, NO, NO, OK, OK),
    "new_calibration": ("get", "", LOGIN, NO, NO, OK, OK),
    "calibration": ("get", "calibration", LOGIN, NO, NO, OK, OK),
    "calibration_versions": ("get", "calibration", LOGIN, NO, NO, OK, OK),
    "calibration_compare": ("get", "calibration", LOGIN, NO, NO, GONE, GONE),  # it names no two versions
    "calibration_score": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "calibration_new_version": ("post", "calibration_version", LOGIN, NO, NO, BAD, BAD),
    "calibration_look": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "calibration_level": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "calibration_activate": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "calibration_rows": ("get", "calibration_version", LOGIN, NO, NO, OK, OK),
    "calibration_triples": ("get", "calibration_version", LOGIN, NO, NO, OK, OK),
    "calibration_unclear": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "calibration_refine": ("post", "calibration_version", LOGIN, NO, NO, LOGIN, LOGIN),
    "ablation": ("get", "calibration_version", LOGIN, NO, NO, OK, OK),
    "calibration_anchors": ("post", "calibration", LOGIN, NO, NO, LOGIN, LOGIN),
    "drift": ("get", "task", LOGIN, NO, NO, OK, OK),
    "suggestion_decide": ("post", "suggestion", LOGIN, NO, NO, LOGIN, LOGIN),
    "unclear_settle": ("post", "unclear", LOGIN, NO, NO, NO, LOGIN),
    "calibration_live": ("get", "calibration_version", GONE, GONE, GONE, OK, OK),
    "tokens": ("get", "", LOGIN, NO, NO, OK, OK),
    "revoke_token": ("post", "api_token", LOGIN, NO, NO, GONE, LOGIN),
    "webhooks": ("get", "", LOGIN, NO, NO, OK, OK),
    "webhook": ("get", "webhook", LOGIN, NO, NO, GONE, OK),
    "webhook_switch": ("post", "webhook", LOGIN, NO, NO, GONE, LOGIN),
    "webhook_test": ("post", "webhook", LOGIN, NO, NO, GONE, LOGIN),
    "webhook_delete": ("post", "webhook", LOGIN, NO, NO, GONE, LOGIN),
    "webhook_redeliver": ("post", "delivery", LOGIN, NO, NO, GONE, LOGIN),
    "api_reference": ("get", "", LOGIN, NO, NO, OK, OK),
    "api_schema": ("get", "", UNSIGNED, NO, NO, OK, OK),
    # The rest asks for a token, whoever is signed in: tests/api/test_access.py.
    "api_datasets": ("get", "", *[UNSIGNED] * 5),
    "api_dataset": ("get", "dataset", *[UNSIGNED] * 5),
    "api_cases": ("get", "dataset", *[UNSIGNED] * 5),
    "api_candidates": ("get", "dataset", *[UNSIGNED] * 5),
    "api_image": ("get", "image", *[UNSIGNED] * 5),
    "api_studies": ("get", "", *[UNSIGNED] * 5),
    "api_study": ("get", "study", *[UNSIGNED] * 5),
    "api_members": ("get", "study", *[UNSIGNED] * 5),
    "api_member": ("get", "two_uids", *[UNSIGNED] * 5),
    "api_results": ("get", "study", *[UNSIGNED] * 5),
    "api_judgements": ("get", "study", *[UNSIGNED] * 5),
    "api_start_export": ("get", "study", *[UNSIGNED] * 5),
    "api_judgement": ("get", "job", *[UNSIGNED] * 5),
    "api_exports": ("get", "", *[UNSIGNED] * 5),
    "api_export": ("get", "job", *[UNSIGNED] * 5),
    "api_export_file": ("get", "job", *[UNSIGNED] * 5),
    "api_jobs": ("get", "", *[UNSIGNED] * 5),
    "api_job": ("get", "job", *[UNSIGNED] * 5),
    "api_cancel_job": ("get", "job", *[UNSIGNED] * 5),
    "job_live": ("get", "job", GONE, GONE, GONE, OK, OK),
    "study_live": ("get", "study", GONE, GONE, GONE, OK, OK),
}
PEOPLE = ("nobody", "mallory", "carol", "bob", "alice")


@pytest.fixture(scope="module")
def kept_things(keep: Keep) -> tuple[Path, dict[str, list[Any]]]:
    """Made once: there are hundreds of tests, and each undoes what it changed."""
    roles = {"alice": "admin", "bob": "engineer", "carol": "annotator", "mallory": "annotator"}
    with keep() as folder:
        people = [User.objects.create_user(username=name, password="x", role=role) for name, role in roles.items()]
        return folder, all_things(folder, *people)


@pytest.fixture
def things(
    kept_things: tuple[Path, dict[str, list[Any]]], db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[Any]]:
    monkeypatch.setattr(connections, "close_all", lambda: None)  # as a live page does: the rows would go with it
    folder, found = kept_things
    for name, value in own_settings(folder).items():
        setattr(settings, name, value)
    return found


@pytest.fixture
def person(things: dict[str, list[Any]]) -> Callable[..., Any]:
    """Who is there already, for the fixtures of people."""
    return lambda username, role: User.objects.get(username=username, role=role)


def all_things(folder: Path, alice: User, bob: User, carol: User, mallory: User) -> dict[str, list[Any]]:
    """What the addresses are about, by the names that RULES uses."""
    from annotation import leases
    from annotation.models import Concern, Member

    data = make.dataset(folder, cases=1, editors=2, owner=alice)
    study = make.study(data, "mos", (carol,), owner=alice)
    (assignment,) = leases.lease(Member.objects.get(), count=1, turn=0)
    case = data.cases.get()
    judged = give(study.units.exclude(pk=assignment.unit_id)[0], alice, scores={"quality": 3})
    job = jobs.start(kind="import", title="t", config={"slug": data.slug, "path": "", "name": ""}, by=alice)
    invitation, token = accounts.invite(by=alice, role="annotator")
    endpoint = Endpoint(slug="e", name="E", base_url="http://127.0.0.1:9/v1", model="m")  # refused, so never asked
    endpoint.save()
    votes = VoteSet(name="V", layout="GenAI-Bench", sha256="0" * 64, pairs=1, created_by=alice)
    votes.rows = [{"key": "0", "human": "A", "judges": {"j": "A"}, "group": 0}]
    votes.save()
    load_prompts()
    judge = Judge.objects.create(slug="j", name="J", kind="endpoint", created_by=alice)
    version = PromptVersion.objects.get(prompt__slug="hp-add", number=2)
    desk = Calibration.objects.create(
        name="C", prompt=version.prompt, study=study, dimension="quality", judge=judge, seed=1, current=version
    )
    suggestion = Suggestion.objects.create(calibration=desk, parent=version, text="Is it sharp?", source="S")
    point = UnclearPoint.objects.create(calibration=desk, study=study, candidate=case.candidates.all()[0], note="N")
    return {
        "": [],
        "votes": [votes.uid],
        "judgement_set": [set_of_judgements(alice).uid],
        "endpoint": [endpoint.uid],
        "user": [mallory.pk],
        "invitation": [invitation.uid],
        "token": [token],
        "job": [job.uid],
        "study": [study.uid],
        "study_editor": [study.uid, case.candidates.all()[0].editor.slug],
        "study_figure": [study.uid, "overview", "days"],
        "item": [judged.unit.item.uid],
        "judgement": [judged.uid],
        "member": [study.uid, carol.pk],
        "concern": [study.uid, Concern.objects.create(study=study, annotator=carol, kind="speed", words="W").uid],
        "assignment": [assignment.uid, "A"],
        "dataset": [data.uid],
        "version": [frozen(data).uid],
        "case": [case.uid],
        "candidate": [case.candidates.all()[0].uid],
        "image": [case.source.uid],
        "editor": [case.candidates.all()[0].editor.slug],
        "module": ["drawn"],
        "judge": [judge.slug],
        "calibration": [desk.uid],
        "calibration_version": [desk.uid, 2],
        "suggestion": [suggestion.uid],
        "unclear": [point.uid],
        "task": ["add"],
        "judge_kind": ["endpoint"],
        "recipe": [recipe_row(data, alice).uid],
        "labelled_set": [make_set("Being made", alice).slug],
        "reward_model": model_row(alice),
        "benchmark": [benches.benchmark(benches.labelled_set(data, benches.groups_of(data), folder)).labelled_set.slug],
        "run": run_row(alice),
        "sweep": sweep_row(alice),
        "run_sample": [*run_row(alice), "a-0.png"],
        "trained_editor": trained_row(alice),
        "editor_benchmark": [make_editor_benchmark(data).slug],
        "proof": [proof_row(data, alice).uid],
        "prompt": ["hp-add"],
        "prompt_version": ["hp-add", 2],
        "two_uids": [study.uid, study.uid],
        **programs_things(alice),
        **way_in_things(data, alice, carol),
    }


def way_in_things(data: Dataset, alice: User, carol: User) -> dict[str, list[Any]]:
    """In a study of their own: with guidelines, nobody gets to the work of a study at once."""
    study, candidate = make.study(data, "mos", (carol,), owner=alice), data.cases.get().candidates.all()[0]
    example = Example(candidate, "quality", 3)
    version = publish_guidelines(study=study, text="Look.", by=alice, examples=[example])
    answer = {"scores": {"quality": 3}}
    reference = add_reference(study=study, candidates=[candidate], purpose="gold", answer=answer, by=alice)
    return {
        "guideline_image": [study.uid, version.examples.get().pk, "edit"],
        "viewing_chart": [study.uid, "grey"],
        "reference": [study.uid, reference.unit.uid],
        "way_in_of": [study.uid, study.members.get().uid],
    }


def programs_things(owner: User) -> dict[str, list[Any]]:
    hook = Webhook.objects.create(address="http://127.0.0.1:9/", events=["job.finished"], created_by=owner)
    delivery = Delivery.objects.create(webhook=hook, event="ping", body="{}", state="given up", next_at=timezone.now())
    token, _text = make_token(by=owner, name="T", scopes=["read"])
    return {"webhook": [hook.uid], "delivery": [delivery.uid], "api_token": [token.uid]}


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("name", RULES)
def test_rule(name: str, who: str, things: dict[str, list[Any]], request: pytest.FixtureRequest) -> None:
    method, about, *expected = RULES[name]
    client = Client()
    if who != "nobody":
        client.force_login(request.getfixturevalue(who))
    url = reverse(name, args=things[about])
    if method == "json":
        response = client.post(url, {"have": []}, content_type="application/json")
    else:
        response = getattr(client, method)(url)
    assert response.status_code == expected[PEOPLE.index(who)], response.content[:300]
    if (
        expected[PEOPLE.index(who)] == LOGIN
        and who == "nobody"
        and not response.get("Location", "").startswith("/accounts/login/")
    ):
        pytest.fail("an anonymous person was sent elsewhere than to the sign-in page")


def test_every_address_has_a_rule() -> None:
    ours = {
        pattern.name
        for resolver in get_resolver().url_patterns
        for pattern in (resolver.url_patterns if isinstance(resolver, URLResolver) else [resolver])
        if isinstance(pattern, URLPattern)
        and "allauth" not in getattr(pattern.callback, "__module__", "allauth")
        and pattern.name
    }
    assert ours == set(RULES)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule[0] != "get"])
def test_changes_are_not_made_by_get(name: str, things: dict[str, list[Any]], request: pytest.FixtureRequest) -> None:
    """A link or an image cannot change anything: GET is refused, or shows the form's page."""
    client = Client()
    client.force_login(request.getfixturevalue("carol" if RULES[name][0] == "json" else "alice"))
    assert client.get(reverse(name, args=things[RULES[name][1]])).status_code == METHOD


@pytest.mark.parametrize("name", ["study_state", "people", "work_events"])
def test_a_forged_form_is_refused(name: str, things: dict[str, list[Any]], alice: Any, carol: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(carol if name == "work_events" else alice)
    assert client.post(reverse(name, args=things[RULES[name][1]]), {"state": "closed"}).status_code == NO


def test_headers_forbid_scripts_from_elsewhere(client: Client, db: None) -> None:
    response = client.get(reverse("account_login"))
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert "unsafe" not in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
