"""Importing on the page and on the command line, the page of a set, its scores, deleting; and beside a study here."""

import csv
import io
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation.models import Assignment, Candidate, Judgement, Mark, Unit
from scoring.elsewhere import beside, figures, jobs, leaderboard, services
from scoring.elsewhere.queries import scores_page
from scoring.models import JudgementSet
from tests import make
from tests.elsewhere import files
from webapp.jobs.models import Job


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_boards = leaderboard.boards
    monkeypatch.setattr(figures, "boards", lambda cells: plain_boards(cells, resamples=4))


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def upload(user: Any, *uploads: tuple[str, bytes], **more: Any) -> Any:
    given = [SimpleUploadedFile(name, data) for name, data in uploads]
    form = {"name": "Panel", "source": "the lab, 2024", "licence": "CC0", "nature": "people", "uploads": given, **more}
    return client_of(user).post(reverse("judgement_sets"), form, follow=True)


def kept(user: Any, data: bytes | None = None, **more: Any) -> JudgementSet:
    file = SimpleUploadedFile("judgements.csv", files.ratings() if data is None else data)
    return services.import_judgements(**{"name": "Panel", "uploads": [file], "source": "the lab", "by": user, **more})


def text_of(response: Any) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode())))


def page(user: Any, found: JudgementSet, **asked: Any) -> Any:
    return client_of(user).get(found.get_absolute_url(), asked)


def stored() -> list[str]:
    folder = Path(default_storage.path("judgements"))
    return sorted(path.name for path in folder.rglob("*.parquet")) if folder.exists() else []


def test_an_upload_becomes_a_page(bob: Any) -> None:
    answer = upload(bob, ("panel.csv.gz", files.packed(files.ratings())))
    found = JudgementSet.objects.get()
    assert answer.redirect_chain == [(found.get_absolute_url(), 302)]
    assert (found.name, found.kind, found.judgements, found.created_by) == ("Panel", "ratings", 72, bob)
    assert found.counts == {"annotator": 3, "item": 12, "dimension": 2, "group": 4, "editor": 3, "task": 2}
    said = text_of(answer)
    assert "The judgements were read and kept." in said and "the lab, 2024 · CC0" in said
    assert "Ratings 72" in said and "Annotators 3" in said and "Two methods beside each other" in said
    assert stored() == ["rows.parquet", "scores.parquet"] and "style=" not in answer.content.decode()


def test_files_are_bounded_together(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = files.packed(b"uid\tM\n" + b"\n" * 600_000)
    monkeypatch.setattr(services, "MOST_BYTES", 1_000_000)
    answer = upload(bob, ("T_r1.tsv.gz", packed), ("T_r2.tsv.gz", packed))
    assert "together. Import them in parts." in text_of(answer) and not JudgementSet.objects.exists()


def test_every_layout_has_its_page(bob: Any) -> None:
    rankings, votes = kept(bob, files.rankings()), kept(bob, files.genai())
    rewards, hub = kept(bob, files.imagereward()), kept(bob, files.imagenhub_long())
    assert (rankings.judgements, rewards.judgements, votes.judgements, hub.judgements) == (6, 2, 5, 72)
    assert "determine the strengths in 0 of 3 groups" in text_of(page(bob, rankings))
    assert "Kendall W" in text_of(page(bob, rewards)) and "ImageReward rankings" in text_of(page(bob, rewards))
    said = text_of(page(bob, votes))
    assert "both bad 1 0.200" in said and "Of the 3 pairs with a winner, A won a share of 0.667" in said
    said = text_of(page(bob, hub))
    assert "is computed here from each rater's two scores" in said and "Fleiss' κ" in said


def test_files_of_several_raters_become_one_set(bob: Any) -> None:
    three = [(f"T_rater{n}.tsv", files.imagenhub_tsv(n)) for n in range(3)]
    upload(bob, *three)
    found = JudgementSet.objects.get()
    assert (found.layout, found.judgements, found.counts["annotator"]) == ("ImagenHub, TSV of raters", 72, 3)
    assert "This file is here already" in text_of(upload(bob, *three[::-1]))


def test_names_cannot_become_markup(bob: Any) -> None:
    bad = "<script>alert(1)</script>"
    rows = [(f"{bad}{n}", bad, bad, n, bad) for n in range(3)]
    data = files.table(["annotator", "item", "dimension", "score", "editor"], rows)
    body = page(bob, kept(bob, data, name=bad)).content.decode()
    assert "<script>alert" not in body and "&lt;script&gt;alert" in body


def test_a_refused_file_leaves_nothing(bob: Any) -> None:
    answer = upload(bob, ("x.csv", b"annotator,item,dimension,score\na,i,d,1\na,i,d,2\nb,i,d,x\n"))
    said = text_of(answer)
    assert "Line 4: score is not a number: 'x'." in said and "Nothing was kept." in said
    assert not JudgementSet.objects.exists() and stored() == []
    answer = upload(bob, ("x.csv", b"annotator,item,dimension,score\na,i,d,1\na,i,d,2\n"))
    assert "Judgements stand there twice" in text_of(answer) and not JudgementSet.objects.exists()
    upload(bob, ("x.csv", b"annotator,item,dimension,score\na,i,d,1\na,i,d,2\n"), repeats="on")
    assert JudgementSet.objects.get().judgements == 2


def test_what_the_form_asks_for(bob: Any) -> None:
    for missing in ("name", "source", "uploads"):
        answer = upload(bob, ("x.csv", files.ratings()), **{missing: "" if missing != "uploads" else []})
        assert answer.status_code == 200 and answer.context["form"].errors[missing]
    assert not JudgementSet.objects.exists()


def test_the_same_file_twice_is_told_kindly(bob: Any, alice: Any) -> None:
    found = kept(bob)
    answer = upload(alice, ("again.csv.gz", files.packed(files.ratings())))
    assert answer.redirect_chain == [(found.get_absolute_url(), 302)]
    assert "This file is here already" in text_of(answer) and JudgementSet.objects.count() == 1


def test_too_much_at_once(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_UPLOAD", 100)
    assert "This is more than 60 files" in text_of(upload(bob, ("x.csv", files.ratings())))


def test_a_crash_leaves_no_file(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(services, "write_scores", broken)
    with pytest.raises(RuntimeError):
        kept(bob)
    assert stored() == [] and not JudgementSet.objects.exists()


@pytest.mark.parametrize(("nature", "said"), [("simulated", "Simulation. A program"), ("demo", "Demo. These")])
def test_what_people_did_not_judge_is_labelled_everywhere(nature: str, said: str, bob: Any) -> None:
    found = kept(bob, nature=nature)
    assert said in text_of(page(bob, found)) and said in text_of(client_of(bob).get(reverse("judgement_sets")))
    answer = client_of(bob).get(reverse("judgement_scores", args=[found.uid]))
    lines = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert f'filename="{nature}-panel-scores.csv"' in answer["Content-Disposition"]
    assert all(line["notice"].startswith(said) for line in lines)


def test_the_scores_as_csv(bob: Any) -> None:
    found = kept(bob)
    answer = client_of(bob).get(reverse("judgement_scores", args=[found.uid]))
    lines = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(lines) == 24 and (lines[0]["item"], lines[0]["mean"], lines[0]["n"]) == ("g0/e1", "4.66667", "3")
    assert "notice" not in lines[0] and lines[0]["editor"] == "e1"


def test_the_scores_are_paged(bob: Any) -> None:
    found = kept(bob, files.ratings(groups=12))  # 72 rows
    answer = page(bob, found)
    assert len(answer.context["scores"]["rows"]) == 50 and "1 to 50 of 72" in text_of(answer)
    assert answer.context["scores"]["next"] == "?row=50#scores" and answer.context["scores"]["previous"] == ""
    second = page(bob, found, row=50).context["scores"]
    assert (len(second["rows"]), second["next"], second["previous"]) == (22, "", "?row=0#scores")
    for odd in ("-1", "x", "9999", "99999999999"):
        assert scores_page(found, {"row": odd})["first"] == 1


def test_pages_cost_few_queries_however_many_sets(bob: Any) -> None:
    client, counts = client_of(bob), []
    for more in (1, 4):
        for n in range(more):
            kept(bob, files.genai(["leftvote"] * (3 * more + n)), name=f"V{more}{n}")
        with CaptureQueriesContext(
            connection,
        ) as found:
            client.get(reverse("judgement_sets"))
        counts.append(len(found))
    assert counts[0] == counts[1] <= 6
    with CaptureQueriesContext(connection) as found:
        client.get(JudgementSet.objects.all()[0].get_absolute_url())
    assert len(found) <= 6


def test_many_judgements_go_to_a_job(bob: Any) -> None:
    found = kept(bob, at_once=10)
    job = Job.objects.get()
    assert (found.job, found.figures, found.scores, job.kind) == (job, None, "", "judgements")
    assert "A job computes the figures." in text_of(page(bob, found))
    assert client_of(bob).get(reverse("judgement_scores", args=[found.uid])).status_code == 404
    for service in (services.delete_judgements, services.start_figures):
        with pytest.raises(ValidationError, match="A job computes these figures now"):
            service(judgement_set=found, **({"by": bob} if service is services.start_figures else {}))
    assert jobs.KIND.work is not None and jobs.KIND.context(job) == {"notice": ""}
    assert jobs.KIND.work(_Run(job.config), job) == {"judgements": 72}  # type: ignore[arg-type]
    assert jobs.KIND.links(job) == [("Panel", found.get_absolute_url())]
    Job.objects.update(state="succeeded")
    assert "Two methods beside each other" in text_of(page(bob, found))


class _Run:
    """What the job's work asks of its run."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def progress(self, done: int, total: int, message: str) -> None:
        assert done <= total and message


def test_a_job_whose_set_is_gone_says_so(bob: Any) -> None:
    found = kept(bob, at_once=10)
    config = found.job.config if found.job else {}
    JudgementSet.objects.all().delete()
    assert jobs.KIND.work is not None
    with pytest.raises(Exception, match="The judgements were deleted"):
        jobs.KIND.work(_Run(config), Job.objects.get())  # type: ignore[arg-type]
    assert jobs.KIND.links(Job.objects.get()) == []


def test_figures_without_end_say_so(bob: Any) -> None:
    found = kept(bob, at_once=10)
    Job.objects.update(state="failed")
    assert "did not end well" in text_of(page(bob, found))


def test_figures_of_an_older_release_are_computed_anew(bob: Any) -> None:
    found = kept(bob)
    JudgementSet.objects.update(figures={**(found.figures or {}), "version": 0})
    assert "An earlier release computed these figures" in text_of(page(bob, found))
    client_of(bob).post(reverse("judgement_figures", args=[found.uid]))
    before = found.scores
    services.compute_figures(judgement_set=JudgementSet.objects.get())
    found.refresh_from_db()
    assert found.scores != before and len(stored()) == 2 and found.figures["version"] == figures.VERSION


def test_deleting_takes_the_files_along(
    bob: Any, alice: Any, django_capture_on_commit_callbacks: Any, person: Any
) -> None:
    found = kept(bob)
    other = person("eve", "engineer")
    assert client_of(other).post(reverse("delete_judgements", args=[found.uid])).status_code == 403
    assert client_of(other).post(reverse("judgement_figures", args=[found.uid])).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        answer = client_of(alice).post(reverse("delete_judgements", args=[found.uid]), follow=True)
    assert "The judgements were deleted." in text_of(answer) and stored() == []
    assert not JudgementSet.objects.exists()


def test_the_command(tmp_path: Path, db: None, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "panel.csv"
    path.write_bytes(files.ratings())
    about = ("--name", "Panel", "--source", "the lab")
    call_command("import_judgements", str(path), *about, "--licence", "MIT", "--nature", "simulated")
    said = capsys.readouterr().out
    found = JudgementSet.objects.get()
    assert "Panel: Long CSV, ratings, 72 ratings; 3 × annotator, 12 × item" in said and "Simulation." in said
    assert (found.licence, found.nature, found.created_by) == ("MIT", "simulated", None) and found.figures
    with pytest.raises(CommandError, match="is here already, as “Panel”"):
        call_command("import_judgements", str(path), *about)
    with pytest.raises(CommandError, match=r"missing\.csv: No such file"):
        call_command("import_judgements", str(tmp_path / "missing.csv"), *about)
    path.write_text("annotator,item\n")
    with pytest.raises(CommandError, match="has no column dimension, score"):
        call_command("import_judgements", str(path), *about)


# Beside a study here -------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path, bob: Any, carol: Any) -> Any:
    """A study of four candidates (two cases, two editors) that carol has rated 1, 2, 3 and 4 in quality."""
    made = make.study(make.dataset(tmp_path, cases=2, editors=2, owner=bob), "mos", (carol,), owner=bob)
    for score, candidate in enumerate(Candidate.objects.order_by("case__key", "editor__slug"), start=1):
        unit = Unit.objects.filter(item__study=made, item__candidates=candidate).first()
        held = {"study": made, "unit": unit, "annotator": carol}
        lent = Assignment.objects.create(**held, state="done", order=[candidate.pk], leased_until=timezone.now())
        judgement = Judgement.objects.create(**held, assignment=lent, answer={})
        Mark.objects.create(judgement=judgement, candidate=candidate, dimension="quality", score=score)
    return made


def by_uid(scores: tuple[int, ...] = (1, 2, 3, 4)) -> bytes:
    uids = Candidate.objects.order_by("case__key", "editor__slug").values_list("uid", flat=True)
    rows = [(f"a{n}", uid, "quality", score) for n in range(2) for uid, score in zip(uids, scores, strict=True)]
    return files.table(["annotator", "item", "dimension", "score"], rows)


def test_judgements_of_candidates_stand_beside_their_study(bob: Any, study: Any) -> None:
    found = kept(bob, by_uid((2, 1, 3, 4)))
    assert found.figures is not None
    assert found.figures["here"] == {"candidates": 4, "studies": [{"study": str(study.uid), "n": 4}]}
    answer = page(bob, found, study=study.uid)
    (row,) = answer.context["beside"]
    assert (row.dimension, row.theirs, row.n) == ("quality", "quality", 4)
    assert row.pcc == pytest.approx(0.8) and row.srcc == pytest.approx(0.8)
    assert study.get_absolute_url() in answer.content.decode() and "4 things that were judged" in text_of(answer)
    assert page(bob, found, study="x").context["beside"] is None


@pytest.mark.parametrize("seed", [None, 0, 5])
def test_a_case_an_editor_and_a_seed_name_a_candidate_too(seed: int | None, bob: Any, study: Any) -> None:
    more = [] if seed is None else [seed]
    candidates = Candidate.objects.select_related("case", "editor").order_by("case__key", "editor__slug")
    rows = [
        (f"a{a}", f"{one.case.key}|{one.editor.slug}", "quality", n + a, one.case.key, one.editor.slug, *more)
        for a in range(2)
        for n, one in enumerate(candidates)
    ]
    header = ["annotator", "item", "dimension", "score", "group", "editor", *([] if seed is None else ["seed"])]
    found = kept(bob, files.table(header, rows))
    assert found.figures is not None
    if seed == 5:  # there is no such seed
        assert found.figures["here"] == {"candidates": 0, "studies": []}
        return
    assert found.figures["here"]["studies"] == [{"study": str(study.uid), "n": 4}]
    (row,) = page(bob, found, study=study.uid).context["beside"]
    assert row.n == 4 and row.pcc == pytest.approx(1)


def test_too_many_things_are_not_looked_up(bob: Any, study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MOST_LOOKED_UP", 3)
    assert (kept(bob, by_uid()).figures or {})["here"] == {"candidates": 0, "studies": [], "too_many": 3}
