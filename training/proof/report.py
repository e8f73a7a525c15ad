"""The figures of a proof, and what they say in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.models import Task
from annotation.protocols import PRESETS
from annotation.queries import study_progress
from scoring.models import Judge
from scoring.stats.agreement import icc, krippendorff_alpha
from scoring.stats.grouped import Flags
from training.models import Proof, TrainedEditor
from training.posttraining.proof_figures import (
    Agreement,
    Echo,
    Estimate,
    Gain,
    Preference,
    Verdict,
    agreement,
    echo,
    gain,
    preference,
)
from training.proof.plan import Plan
from training.proof.reading import Rating, Said, Scorer, said, scorers
from training.reward_models.registry import KIND as REWARD_MODEL

MODEL = ("model", "number", "dimension")  # what names a reward model's score
TONES: dict[Verdict, str] = {"better": "good", "worse": "bad", "unclear": "warn", "": ""}
SCALE = PRESETS["hp-score"].dimensions[0].high


@dataclass(frozen=True)
class ScorerRow:
    judge: Judge
    is_active: bool
    role: str  # in the training, in words; empty: none that is known
    echo: Echo


@dataclass(frozen=True)
class TaskRow:
    name: str
    preference: Preference | None
    gain: Gain | None


@dataclass(frozen=True)
class Progress:
    done: int
    target: int
    people: int
    simulated: int

    @property
    def is_over(self) -> bool:
        return 0 < self.target <= self.done


@dataclass(frozen=True)
class Report:
    """``preference``, ``gain``: None where it was not asked for. ``alpha``, ``icc``: agreement on the ratings."""

    pairs: int
    progress: Progress
    preference: Preference | None
    gain: Gain | None
    agreement: Agreement | None
    alpha: float
    icc: float
    both_bad: float
    scorers: list[ScorerRow]
    tasks: list[TaskRow]
    sentences: list[str]
    tone: str
    notices: list[str]
    remarks: list[str]


def report(proof: Proof, found: Said | None = None) -> Report:
    """Everything that the page shows, from the judgements that count now."""
    found = found or said(proof)
    voted, rated = _preference(found) if proof.pairwise else None, _gain(found) if proof.ratings else None
    headline, progress = voted or rated, _progress(proof, found)
    alpha, single = _rating_agreement(found.ratings)
    return Report(
        pairs=len(found.pairs),
        progress=progress,
        preference=voted,
        gain=rated,
        agreement=agreement(found.vote, found.vote_pair) if proof.pairwise else None,
        alpha=alpha,
        icc=single,
        both_bad=float(np.mean([one.both_bad for one in found.votes])) if found.votes else math.nan,
        scorers=_scorer_rows(proof, found),
        tasks=_task_rows(proof, found),
        sentences=_sentences(progress, voted, rated),
        tone=TONES[headline.verdict] if headline else "",
        notices=notices(proof),
        remarks=_remarks(proof, voted, rated),
    )


def _preference(found: Said, places: Flags | None = None) -> Preference:
    """Of all votes, or those of the pairs where ``places`` (pairs,) is true."""
    chosen = slice(None) if places is None else places[found.vote_pair]
    return preference(found.vote[chosen], found.left[chosen], found.source[found.vote_pair][chosen])


def _gain(found: Said, places: Flags | None = None) -> Gain:
    chosen = slice(None) if places is None else places
    return gain(found.before[chosen], found.after[chosen], found.source[chosen])


def _progress(proof: Proof, found: Said) -> Progress:
    rows = study_progress(proof.studies) if proof.studies else []
    annotators = {(one.annotator, one.simulated) for one in found.judgements}
    simulated = sum(is_simulated for _name, is_simulated in annotators)
    done, target = (sum(row[name] for row in rows) for name in ("done", "target"))
    return Progress(done, target, len(annotators) - simulated, simulated)


def _rating_agreement(rows: list[Rating]) -> tuple[float, float]:
    """Interval α and ICC(2,1) over single edits; NaN where no edit has two ratings."""
    if not rows:
        return math.nan, math.nan
    unit = np.array([2 * one.pair + one.trained for one in rows], dtype=np.int64)
    _names, rater = np.unique([one.annotator for one in rows], return_inverse=True)
    score = np.array([one.score for one in rows], dtype=np.float64)
    units = int(unit.max()) + 1
    return krippendorff_alpha(unit, score, units, "interval"), icc(unit, rater, score, int(rater.max()) + 1).single


# Scorers and tasks ---------------------------------------------------------------------------------------------------


def _scorer_rows(proof: Proof, found: Said) -> list[ScorerRow]:
    reward = TrainedEditor.objects.filter(editor=proof.trained_id).values_list("reward", flat=True).first() or []
    people = found.after - found.before if proof.ratings else found.mean_vote
    return [_scorer_row(one, found, people, reward) for one in scorers(proof, found.pairs)]


def _scorer_row(one: Scorer, found: Said, people: Any, reward: list[Mapping[str, Any]]) -> ScorerRow:
    votes = found.mean_vote if found.votes else 0.5 + np.sign(people) / 2
    return ScorerRow(
        one.judge, one.is_active, _role(one.judge, reward), echo(votes, people, one.difference, found.source)
    )


def _role(judge: Judge, reward: list[Mapping[str, Any]]) -> str:
    """By what the run's card says of each: the judge, or the reward model whose version the judge asks."""
    for spec in reward:
        told = spec.get("identity") or {}
        model = {name: told.get(name) for name in MODEL}
        if told.get("judge") == judge.slug or (
            judge.kind == REWARD_MODEL and model == {name: judge.settings.get(name) for name in MODEL}
        ):
            return _("the reward of the training") if spec.get("trained") else _("looked at in the training, held out")
    return ""


def _task_rows(proof: Proof, found: Said) -> list[TaskRow]:
    present = {pair.task for pair in found.pairs}
    rows = []
    for task in Task.objects.filter(pk__in=present) if present else ():
        places = found.task == task.pk
        voted = _preference(found, places) if proof.pairwise else None
        rows.append(TaskRow(task.name, voted, _gain(found, places) if proof.ratings else None))
    return rows


# In words ------------------------------------------------------------------------------------------------------------


def percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f}"


def interval(estimate: Estimate, by: float = 1.0, digits: int = 0) -> str:
    """The limits that count, as "[55, 68]"; empty where they are not determined."""
    low, high = estimate.limits
    return "" if math.isnan(low) else f"[{by * low:.{digits}f}, {by * high:.{digits}f}]"


def _who(progress: Progress) -> str:
    if progress.people and progress.simulated:
        return _("People and simulated annotators")
    return _("Simulated annotators") if progress.simulated else _("People")


def _sentences(progress: Progress, voted: Preference | None, rated: Gain | None) -> list[str]:
    """What came out, plainly: a result that the interval does not carry is called not distinguishable."""
    found = []
    if voted and voted.verdict:
        found.append(_choices(progress, voted))
    if rated and rated.verdict:
        found.append(_ratings(rated))
    return found or [_("There is no judgement yet.")]


def _choices(progress: Progress, voted: Preference) -> str:
    words = {
        "better": _("%(who)s prefer the trained editor: it wins in %(rate)s %% %(limits)s of %(n)d judgements."),
        "worse": _("%(who)s prefer the base: the trained editor wins in %(rate)s %% %(limits)s of %(n)d judgements."),
        "unclear": _(
            "Not distinguishable: %(who)s choose the trained editor in %(rate)s %% %(limits)s of %(n)d judgements."
        ),
    }[voted.verdict]
    rate = voted.rate
    limits = interval(rate, 100)
    about = {"who": _who(progress), "rate": percent(rate.value), "limits": limits, "n": rate.n}
    return " ".join((words % about).split())


def _ratings(rated: Gain) -> str:
    words = {
        "better": _("Its edits score higher: %(after).2f instead of %(before).2f of %(most)d, %(gain)+.2f %(limits)s."),
        "worse": _("Its edits score lower: %(after).2f instead of %(before).2f of %(most)d, %(gain)+.2f %(limits)s."),
        "unclear": _(
            "Mean scores are not distinguishable: %(after).2f against %(before).2f of %(most)d, %(gain)+.2f %(limits)s."
        ),
    }[rated.verdict]
    about = {"after": rated.after.value, "before": rated.before.value, "most": SCALE, "gain": rated.difference.value}
    return " ".join((words % {**about, "limits": interval(rated.difference, digits=2)}).split()).replace(" .", ".")


def notices(proof: Proof) -> list[str]:
    """What every page and export of the proof must say: demo data, rough editors, simulated annotators."""
    found = [study.notice for study in proof.studies] or [proof.dataset.notice]
    return list(dict.fromkeys(words for words in (*found, proof.base.notice, proof.trained.notice) if words))


def _remarks(proof: Proof, voted: Preference | None, rated: Gain | None) -> list[str]:
    """What one should know before one believes the figures."""
    plan, told, found = Plan.from_json(proof.settings), proof.settings, []
    estimate = voted.rate if voted else rated.difference if rated else None
    if estimate and estimate.n and estimate.few:
        words = _(
            "Fewer than ten source images: the wider of two kinds of intervals count. Fewer than six decide nothing."
        )
        found.append(words)
    if not plan.known:
        found.append(_("It is not known what this editor learned from, so cases of its training may be among these."))
    if plan.looked:
        words = ngettext(
            "%(n)d case shows a source image that the training was looked at with: it chose the version it kept.",
            "%(n)d cases show source images that the training was looked at with: they chose the version it kept.",
            plan.looked,
        )
        found.append(words % {"n": plan.looked})
    if lost := told.get("lost"):
        words = ngettext(
            "%(n)d pair lacks an image and is left out.", "%(n)d pairs lack an image and are left out.", lost
        )
        found.append(words % {"n": lost})
    aside = told.get("set_aside") or {}
    if any(aside.values()):
        words = _(
            "Among the edits are some that an output check set aside: %(base)d of the base, %(trained)d of the trained "
            "editor. People see them, because to leave out an editor's failures would flatter it."
        )
        found.append(words % aside)
    if voted and voted.rate.n >= 20 and abs(voted.shown_left - 0.5) > 0.1:
        found.append(_("The sides are uneven by chance: look at the win rate with both sides weighed alike."))
    return found
