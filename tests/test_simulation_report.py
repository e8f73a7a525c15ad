"""What a simulation shows at its end: the planted annotators and who named them, and the order that came back."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from annotation.entry.services import add_reference
from annotation.models import Candidate, Check, Concern, Exclusion, Judgement, Member, Purpose
from annotation.protocols import PRESETS, Checks
from annotation.simulation import report
from annotation.simulation.annotators import CARELESS, Annotator, Facts, Shown, as_told
from annotation.simulation.run import simulate
from tests import judging
from tests.drawn import drawn
from webapp.accounts.models import User


def test_the_planted_ones_are_named(tmp_path: Path, alice: User) -> None:
    """Three honest annotators and one of each who harms, with hidden items and controls among their work."""
    checks = Checks(attention_every=8, repeat_every=8, source_share=1.0, duplicate_share=0.5, straight_run=12, least=3)
    protocol = replace(PRESETS["hp-score"], raters=6, checks=checks)
    study = judging.study(drawn(tmp_path, 4, owner=alice), "hp-score", protocol=protocol)
    for edit in Candidate.objects.filter(case__dataset=study.dataset)[:3]:
        right = {"scores": {"overall": 2}}
        add_reference(
            study=study, candidates=[edit], purpose="attention", answer=right, by=alice, instruction="Give 2."
        )
    made = simulate(study=study, annotators={"honest": 3} | dict.fromkeys(CARELESS, 1), seed=3).report
    assert made is not None
    named = {one.kind: set(one.concerns) for one in made.annotators if one.kind in CARELESS}
    assert "straight" in named["straight"]
    assert "random" in named["random"]
    assert {"reversed", "source"} <= named["reversed"]
    assert [one.concerns for one in made.annotators if one.kind == "honest"] == [()] * 3
    assert made.missed == ()
    assert made.without > made.everybody - 1e-9
    assert made.without > 0.9
    assert not Exclusion.objects.exists(), "screens exclude nobody"
    assert not Member.objects.exclude(paused_at=None).exists()
    honest = Check.objects.filter(judgement__annotator__username__contains="honest")
    assert set(honest.values_list("kind", flat=True)) == {"attention", "repeat", "source", "duplicate"}
    assert not honest.filter(kind__in=["attention", "source"], passed=False).exists()
    counted = Judgement.objects.filter(unit__purpose=Purpose.LIVE).count()
    assert counted == 6 * (24 + 4 + 2), "six edits of four cases, a source each, two duplicates"
    text = made.lines()
    assert text[0].startswith("Simulation: ")
    assert any("simulated-reversed-1-3" in line and "reversed, source" in line for line in text)
    told = made.to_json()
    assert all(name.startswith("simulation: ") for name in told)
    assert told["simulation: planted and not named"] == ""
    Concern.objects.update(state="dismissed")
    assert report.report_on(study, {}).named == (), "what a person dismissed names nobody"


def test_the_order_of_editors() -> None:
    true = {"a": 0.9, "b": 0.5, "c": 0.1}
    assert report.agreement(true, {"a": 5, "b": 4, "c": 3}) == pytest.approx(1)
    assert report.agreement(true, {"a": 3, "b": 4, "c": 5}) == pytest.approx(-1)
    assert report.agreement(true, {"a": 4, "b": 4, "c": 3}) == pytest.approx(math.sqrt(3) / 2), "a tie shares its rank"
    assert math.isnan(report.agreement(true, {"a": 5}))
    assert math.isnan(report.agreement(true, {"a": 5, "b": 5, "c": 5}))


def test_everybody_s_scale_counts_alike() -> None:
    """One annotator uses the whole scale, one a tenth of it; who gives one score throughout says nothing."""
    rows = [(1, "a", "d", 5.0), (1, "b", "d", 1.0), (2, "a", "d", 3.0), (2, "b", "d", 3.4)]
    assert report.means_of(rows) == pytest.approx({"a": 0.0, "b": 0.0})
    assert report.means_of(rows, without={2}) == {"a": 1.0, "b": -1.0}
    assert report.means_of([(1, "a", "d", 3.0), (1, "b", "d", 3.0)]) == {}


@pytest.mark.parametrize(
    ("answer", "right", "said"),
    [
        ({"scores": {"q": 1, "p": 4}}, {"scores": {"q": 3}}, {"scores": {"q": 3, "p": 4}}),
        (
            {"order": [["A", "B"]], "shelves": {"A": 5, "B": 5}},
            {"order": [[8], [7]]},
            {"order": [["B"], ["A"]], "shelves": {"B": 5, "A": 4}},
        ),
        ({"choice": "A"}, {"choice": 8}, {"choice": "B"}),
        ({"choice": "A"}, {"choice": "tie"}, {"choice": "tie"}),
    ],
)
def test_who_reads_does_what_an_attention_check_asks(answer: dict, right: dict, said: dict) -> None:  # type: ignore[type-arg]
    assert as_told(answer, right, {7: "A", 8: "B"}) == said


def test_an_item_that_comes_again_is_judged_anew() -> None:
    shown = Shown("x", Facts(0.5, 0.5, 0.5, 2.5))
    honest, straight = Annotator("honest", "h", 1), Annotator("straight", "s", 1)
    assert honest.opinion(shown, "overall") == honest.opinion(shown, "overall")
    assert honest.opinion(shown, "overall") != honest.opinion(shown, "overall", again=True)
    assert straight.opinion(shown, "overall") == straight.opinion(shown, "overall", again=True)
