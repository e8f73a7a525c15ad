"""The demo judge behind the judge protocol: the shipped weights, what they can do, and what is declined or refused."""

import hashlib
import io
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from drawnworld.dataset import write_dataset
from drawnworld.edits import TASKS, draw_pair
from drawnworld.flaws import ATTEMPTS
from drawnworld.questions import FAMILIES, suggestions
from scoring.judging.contract import JudgeError, Reply, Request, Status
from scoring.judging.render import CaseFacts, PromptText, render
from training.gpu.drawn_judge import weights
from training.gpu.drawn_judge.answering import Answerer
from training.gpu.drawn_judge.data import HELD_OUT_SERIES, KEYS, held_out_cases
from training.gpu.drawn_judge.evaluate import Judged, answers, composite, declined, judge_all, planted, prompts
from training.gpu.drawn_judge.others import TRAINED, UNSEEN
from training.gpu.drawn_judge.pictures import NotDrawn, scene_pixels, source_pixels
from training.gpu.drawn_judge.weights import FILE, FOLDER, HASHES, load_weights
from training.gpu.judges import check_settings, judge_names, load_judge
from training.gpu.judges.drawn import EmbeddedJudge, model_name

PAIR = draw_pair(515_003, 2, "color")
PARAPHRASES = {
    "rest-kept": ("Did everything else stay unchanged?", "Is the rest of the image intact?"),
    "colour": ("Does the object now have the requested color?", "Is the color of the right object as asked?"),
    "clean": ("Is the image free of noise?", "Does the result look clean, without grain?"),
    "done": ("Does image B follow the prompt?", "Was the edit carried out as instructed?"),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def judge() -> EmbeddedJudge:
    loaded = load_judge("drawn", {})
    assert isinstance(loaded, EmbeddedJudge)
    return loaded


@pytest.fixture(scope="module")
def judged(judge: EmbeddedJudge) -> Judged:
    cases = held_out_cases(96)
    return judge_all(judge.answerer, cases, planted(cases))


def save(folder: Path, name: str, pixels: np.ndarray, scale: int = 1, kind: str = "PNG") -> str:
    file = folder / f"{name}.{kind.lower()}"
    picture = Image.fromarray(pixels)
    picture.resize((64 * scale, 64 * scale), Image.Resampling.NEAREST).save(file, kind, quality=92)
    return str(file)


def prompt(questions: Sequence[str] = (), instruction: str = PAIR.edit.instruction, task: str = "Colour") -> str:
    text = PromptText("You judge edits of pictures.", tuple(questions), "Score from 0 to 5.", 0, 5)
    return render(text, CaseFacts(task, instruction))


def request(folder: Path, questions: Sequence[str] = (), edited: np.ndarray | None = None, **more: object) -> Request:
    source = save(folder, "source", PAIR.source)
    made = save(folder, f"made-{random.getrandbits(40)}", PAIR.target if edited is None else edited)
    keys = tuple(f"q{number}" for number in range(len(questions)))
    return replace(Request("key", prompt(questions), source, made, 0, 5, keys), **more)


def one(judge: EmbeddedJudge, wanted: Request) -> Reply:
    (reply,) = judge.judge([wanted])
    return reply


# It works


def test_it_reads_the_prompt_and_answers_each_question(judge: EmbeddedJudge, tmp_path: Path) -> None:
    asked = ["Does the named object have the asked colour?", "Is everything else unchanged?", "Is the person smiling?"]
    reply = one(judge, request(tmp_path, asked))
    assert reply.status == Status.PARSED and reply.score is not None and reply.score > 4
    assert [answer.question for answer in reply.answers] == ["q0", "q1", "q2"]
    assert [answer.answer for answer in reply.answers] == ["yes", "yes", "cannot judge"]
    assert "Read as “Has the named object the asked colour?”" in reply.answers[0].reason
    assert "probability of yes 0.9" in reply.answers[0].reason and "smiling" in reply.answers[2].reason
    assert "not a VLM" in reply.reasoning and "2 of 3 questions" in reply.reasoning
    assert (reply.cost, reply.distribution, reply.model) == (0.0, None, model_name())
    assert reply.seconds > 0 and judge.threads == 0 and judge.batch >= 1
    raw = json.loads(reply.raw)
    assert raw["score"] == reply.score and [row["question"] for row in raw["answers"]] == [1, 2, 3]


def test_nothing_done_is_no_and_an_edit_with_grain_is_not_clean(judge: EmbeddedJudge, tmp_path: Path) -> None:
    asked = [FAMILIES[key].wordings[0] for key in ("colour", "rest-kept", "clean", "noise")]
    nothing = one(judge, request(tmp_path, asked, PAIR.source))
    assert [answer.answer for answer in nothing.answers] == ["no", "yes", "yes", "no"]
    grain = np.random.default_rng(0).normal(0, 25, PAIR.target.shape)
    grainy = one(judge, request(tmp_path, asked, np.clip(PAIR.target + grain, 0, 255).astype(np.uint8)))
    assert [grainy.answers[n].answer for n in (0, 2, 3)] == ["yes", "no", "yes"]
    exact = one(judge, request(tmp_path, asked))
    assert exact.score is not None and exact.score > max(nothing.score or 0, grainy.score or 0) + 1


def test_the_score_is_the_mean_of_what_it_can_judge_on_the_scale(judge: EmbeddedJudge, tmp_path: Path) -> None:
    asked = ["Is there noise in picture B?", "Is the person smiling?", "Is the edit complete?"]
    wanted = request(tmp_path, asked)
    verdict = judge.answerer.verdict(PAIR.edit.instruction, asked, PAIR.source, PAIR.target)
    noise, smiling, complete = verdict.answers
    assert smiling.yes is None and noise.yes is not None and complete.yes is not None
    mean = (verdict.impression + (1 - noise.yes) + complete.yes) / 3
    for low, high in ((0, 5), (1, 4), (0, 25), (-3, 3)):
        assert one(judge, replace(wanted, low=low, high=high)).score == pytest.approx(low + (high - low) * mean)
    bare = one(judge, request(tmp_path))
    assert bare.score == pytest.approx(5 * verdict.impression, abs=1e-4) and bare.answers == ()


def test_a_reply_does_not_depend_on_the_batch_nor_on_the_time(judge: EmbeddedJudge, tmp_path: Path) -> None:
    asked = [text for _, text in suggestions("color")]
    wanted = [request(tmp_path, asked[:number], image) for number in (0, 1, 4) for image in (PAIR.source, PAIR.target)]
    together = judge.judge(wanted)
    alone = [one(judge, each) for each in reversed(wanted)][::-1]
    fresh = load_judge("drawn", {}).judge(wanted)
    for first, second, third in zip(together, alone, fresh, strict=True):
        assert (first.score, first.answers, first.raw) == (second.score, second.answers, second.raw)
        assert (first.score, first.answers, first.raw) == (third.score, third.answers, third.raw)
    assert judge.judge([]) == []


def test_an_answer_hardly_depends_on_which_others_are_asked(judge: EmbeddedJudge) -> None:
    texts = [text for _, text in suggestions("color")]
    whole = judge.answerer.verdict(PAIR.edit.instruction, texts, PAIR.source, PAIR.target).answers
    for text, answer in zip(texts, whole, strict=True):
        (alone,) = judge.answerer.verdict(PAIR.edit.instruction, [text], PAIR.source, PAIR.target).answers
        assert alone.yes == pytest.approx(answer.yes, abs=1e-4)


@pytest.mark.parametrize(("scale", "kind"), [(8, "PNG"), (3, "PNG"), (8, "WEBP"), (8, "JPEG")])
def test_enlarged_and_compressed_scenes_are_judged_the_same(
    judge: EmbeddedJudge, tmp_path: Path, scale: int, kind: str
) -> None:
    asked = [text for _, text in suggestions("color")]
    small = request(tmp_path, asked)
    large = replace(
        small,
        source=save(tmp_path, f"a{scale}", PAIR.source, scale, kind),
        edited=save(tmp_path, f"b{scale}", PAIR.target, scale, kind),
    )
    first, second = one(judge, small), one(judge, large)
    assert second.score == pytest.approx(first.score, abs=0 if kind == "PNG" else 0.25)


def test_it_judges_a_data_set_of_the_drawn_world_from_its_files(judge: EmbeddedJudge, tmp_path: Path) -> None:
    """Seed 1 is the demo's. Exact edits come first, nothing done last."""
    write_dataset(tmp_path / "data", 1, 16, ("color", "remove"))
    rows = [json.loads(line) for line in (tmp_path / "data/candidates.jsonl").read_text().splitlines()]
    cases = {case["key"]: case for case in map(json.loads, (tmp_path / "data/cases.jsonl").read_text().splitlines())}
    wanted = []
    for row in rows:
        case = cases[row["case"]]
        asked = [text for _, text in suggestions(case["task"])[:2]]
        files = [str(tmp_path / "data" / name) for name in (case["source"], row["file"])]
        wanted.append(Request(row["file"], prompt(asked, case["instruction"]), *files, 0, 5, ("a", "b")))
    replies = judge.judge(wanted)
    assert {reply.status for reply in replies} == {Status.PARSED}
    means = {
        editor: np.mean([r.score for r, row in zip(replies, rows, strict=True) if row["editor"] == editor])
        for editor in ATTEMPTS
    }
    assert max(means, key=lambda editor: means[editor]) == "drawn-truth"
    assert means["drawn-truth"] > 4.3 and means["drawn-nothing"] < 2.3 and means["drawn-wrong-object"] < 3
    assert means["drawn-nothing"] < means["drawn-half"] < means["drawn-truth"] - 0.7


# The figures of the card, on a part of the held-out cases, with loose bounds


def test_good_questions_raise_the_correlation_and_a_bad_one_lowers_it(judged: Judged) -> None:
    table = {task: {name: found["r"] for name, found in row.items()} for task, row in prompts(judged).items()}
    for task, row in table.items():
        assert 0.4 < row["bare"] < 0.85, task
        assert row["+2"] > max(row["bare"] + 0.05, 0.72), task
        assert row["+2 and bad"] < row["+2"] - 0.02, task
    for task in ("color", "remove"):
        assert table[task]["bare"] + 0.05 < table[task]["+1"] < table[task]["+2"] + 0.02
        assert table[task]["+2"] > 0.8


def test_answers_go_with_the_truth_for_known_and_unseen_wordings(judged: Judged) -> None:
    table = answers(judged)
    for key, row in table.items():
        assert row["known"]["r"] > 0.5, key
        assert row["unseen"]["r"] is None or row["unseen"]["r"] > 0.35, key
    unseen = [row["unseen"]["r"] for row in table.values()]
    assert np.mean([value for value in unseen if value is not None]) > 0.7


def test_the_task_is_read_from_the_instruction(judged: Judged) -> None:
    assert judged.right_task.mean() > 0.98


def test_the_composite_of_the_evaluation_is_the_judges_own(judge: EmbeddedJudge) -> None:
    cases = held_out_cases(8)
    found = judge_all(judge.answerer, cases, [(index, pair.target) for index, pair in enumerate(cases)])
    for index, pair in enumerate(cases):
        keys = [key for key, _ in suggestions(pair.edit.task)[:2]]
        texts = [text for _, text in suggestions(pair.edit.task)[:2]]
        verdict = judge.answerer.verdict(pair.edit.instruction, texts, pair.source, pair.target)
        assert composite(found, keys)[index] == pytest.approx(verdict.mean, abs=1e-4)


# What it cannot judge


def test_known_questions_are_judged_and_others_declined(judge: EmbeddedJudge) -> None:
    for family in FAMILIES.values():
        for text in family.wordings:
            assert judge.answerer.understand(text, "").family == family.key, text
    unseen = [(family.key, text) for family in FAMILIES.values() for text in family.unseen]
    right = sum(judge.answerer.understand(text, "").family == key for key, text in unseen)
    assert right >= 0.8 * len(unseen)
    assert sum(bool(judge.answerer.understand(text, "").why_not) for text in UNSEEN) >= 0.85 * len(UNSEEN)
    assert not set(UNSEEN) & set(TRAINED)
    assert declined(judge.answerer)["known wordings"].startswith("0 of ")


@pytest.mark.parametrize(("key", "text"), [(key, text) for key, texts in PARAPHRASES.items() for text in texts])
def test_paraphrases_are_understood(judge: EmbeddedJudge, key: str, text: str) -> None:
    assert text not in FAMILIES[key].wordings
    assert judge.answerer.understand(text, "").family == key


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Is the person smiling?", "not taught: person, smiling"),
        ("Are the eyes of the cat open?", "not taught"),
        ("", "no word"),
        ("???", "no word"),
        ("Is the face unchanged?", "not taught: face"),
        ("Is picture B without any grain?", "not sure what yes would mean"),
        ("Is the background blurred?", "edit of the kind “color”"),
        ("Is the edit complete? " * 10, "reads 28 at most"),
        ("Is the ring above the circle?", "not trained for this question"),
    ],
)
def test_what_it_cannot_judge_is_said_and_not_counted(
    judge: EmbeddedJudge, tmp_path: Path, text: str, why: str
) -> None:
    bare, reply = one(judge, request(tmp_path)), one(judge, request(tmp_path, [text]))
    (answer,) = reply.answers
    assert answer.answer == "cannot judge" and why in answer.reason
    assert reply.score == pytest.approx(bare.score, abs=1e-4) and "0 of 1 questions" in reply.reasoning


def test_a_question_that_quotes_the_instruction_is_understood(judge: EmbeddedJudge) -> None:
    text = f"Was “{PAIR.edit.instruction.capitalize()}” carried out?"
    (answer,) = judge.answerer.verdict(PAIR.edit.instruction, [text], PAIR.source, PAIR.target).answers
    assert answer.family == "done" and answer.yes is not None and answer.yes > 0.6


# What is refused


def test_a_picture_that_cannot_be_read_fails_with_a_note_and_the_others_are_judged(
    judge: EmbeddedJudge, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(Path(request(tmp_path).source).read_bytes()[:200])
    (tmp_path / "text.png").write_text("no picture")
    good = request(tmp_path)
    wanted = [good, *(replace(good, edited=str(tmp_path / name)) for name in ("gone.png", "broken.png", "text.png"))]
    replies = judge.judge([*wanted, replace(good, source=str(tmp_path)), good])
    assert [reply.status for reply in replies] == [Status.PARSED, *[Status.FAILED] * 4, Status.PARSED]
    assert all(reply.kind == "picture" and "cannot be read" in reply.note for reply in replies[2:5])
    assert "picture B gone.png does not exist" in replies[1].note and replies[1].score is None


def test_a_photograph_is_refused(judge: EmbeddedJudge, tmp_path: Path) -> None:
    y, x = np.mgrid[0:64, 0:64]
    noise = np.random.default_rng(1).normal(0, 6, (64, 64, 3))
    photo = np.clip(np.stack([90 + x, 120 + y, 200 - y], -1) + noise, 0, 255).astype(np.uint8)
    reply = one(judge, replace(request(tmp_path), source=save(tmp_path, "photo", photo, 4)))
    assert reply.status == Status.REFUSED and reply.kind == "picture" and reply.score is None
    assert "Picture A is no scene of the drawn world" in reply.note and "another judge" in reply.note
    Image.new("RGB", (120, 80)).save(tmp_path / "wide.png")
    wide = one(judge, replace(request(tmp_path), edited=str(tmp_path / "wide.png")))
    assert wide.status == Status.REFUSED and "Picture B has 120 x 80 pixels" in wide.note


def test_every_source_of_the_drawn_world_is_taken_also_after_compression() -> None:
    for index in range(60):
        source = draw_pair(515_004, index).source
        assert (source_pixels(Image.fromarray(source)) == source).all()
        for kind, quality in (("WEBP", 60), ("JPEG", 60)):
            stored = io.BytesIO()
            Image.fromarray(source).resize((256, 256), Image.Resampling.NEAREST).save(stored, kind, quality=quality)
            source_pixels(Image.open(stored))
    with pytest.raises(NotDrawn, match="32 x 32"):
        scene_pixels(Image.new("RGB", (32, 32)))


def test_a_prompt_that_was_not_rendered_here_is_refused(judge: EmbeddedJudge, tmp_path: Path) -> None:
    good = request(tmp_path, ["Is the edit complete?"])
    for wanted, word in (
        (replace(good, text="How good is this edit, from 0 to 5?"), "not a rendered scoring prompt"),
        (replace(good, text=""), "not a rendered scoring prompt"),
        (replace(good, questions=()), "has 1 questions, not 0"),
        (replace(good, questions=("a", "b")), "has 1 questions, not 2"),
    ):
        reply = one(judge, wanted)
        assert (reply.status, reply.kind, reply.score) == (Status.REFUSED, "prompt", None) and word in reply.note


@pytest.mark.parametrize("instruction", ["Give the elderly lady a friendlier smile", "???", "rot " * 5])
def test_an_instruction_of_another_world_is_refused(judge: EmbeddedJudge, tmp_path: Path, instruction: str) -> None:
    reply = one(judge, replace(request(tmp_path), text=prompt((), instruction)))
    assert (reply.status, reply.kind) == (Status.REFUSED, "instruction") and "drawn world" in reply.note


@pytest.mark.parametrize("name", ["Drawn", "../drawn", "os", "", None, 3, "__init__"])
def test_other_modules_are_never_imported(name: object) -> None:
    for use in (check_settings, load_judge):
        with pytest.raises(JudgeError, match=r"There is no judge .*drawn"):
            use(name, {})
    assert "drawn" in judge_names()


def test_settings_are_refused_in_words() -> None:
    check_settings("drawn", {})
    for use in (check_settings, load_judge):
        with pytest.raises(JudgeError, match="no settings; temperature was given"):
            use("drawn", {"temperature": 0})


# The shipped files


def test_the_weights_are_those_of_the_hash_and_small(tmp_path: Path) -> None:
    content = (FOLDER / FILE).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert (FOLDER / HASHES).read_text() == f"{digest}  {FILE}\n"
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 1.5e6 and HELD_OUT_SERIES != 1
    training = json.loads((FOLDER / "training.json").read_text())
    card = (FOLDER / "README.md").read_text()
    assert training["sha256"] == digest and digest in card and "not a VLM" in card
    assert model_name() == f"drawn-judge {digest[:12]}"
    network, found = load_weights(FOLDER)
    assert found == digest and sum(value.numel() for value in network.parameters()) == training["parameters"]
    assert all(f"| {task} |" in card for task in TASKS) and all(f"| {key} |" in card for key in KEYS)


def test_changed_and_missing_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.gpu.judges.drawn.WEIGHTS", tmp_path)
    for use in (lambda: load_judge("drawn", {}), model_name):
        with pytest.raises(JudgeError, match=r"cannot be read|are not there"):
            use()
    (tmp_path / HASHES).write_text((FOLDER / HASHES).read_text())
    content = bytearray((FOLDER / FILE).read_bytes())
    content[-1] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(JudgeError, match=r"not the file that was published.*SHA-256"):
        load_judge("drawn", {})
    (tmp_path / FILE).write_bytes(b"not weights")
    (tmp_path / HASHES).write_text(hashlib.sha256(b"not weights").hexdigest())
    with pytest.raises(JudgeError, match="no file of weights"):
        load_judge("drawn", {})


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = weights.new_network(0)
    network.task = torch.nn.Linear(network.task.in_features, 3)
    weights.save_weights(network, tmp_path)
    with pytest.raises(weights.WrongWeights, match="another network"):
        load_weights(tmp_path)
    with monkeypatch.context() as changed:
        changed.setattr(weights, "learned", lambda: {"learned": "other"})
        weights.save_weights(weights.new_network(0), tmp_path)
    with pytest.raises(weights.WrongWeights, match="other words or questions"):
        load_weights(tmp_path)
    weights.save_weights(weights.new_network(0), tmp_path)
    assert isinstance(Answerer(load_weights(tmp_path)[0]), Answerer)


def test_naming_the_judge_loads_no_torch() -> None:
    code = (
        "import sys\nfrom training.gpu.judges import check_settings\ncheck_settings('drawn', {})\n"
        "from training.gpu.judges.drawn import model_name\nmodel_name()\n"
        "print([name for name in ('django', 'torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parents[3], check=True)
    assert run.stdout.strip() == "[]"
