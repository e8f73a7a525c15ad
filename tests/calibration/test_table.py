"""Triples of a calibration as CSV: the same figures come out of it; nothing of the held-out part before a look."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from scoring.calibration import services
from scoring.calibration.figures import page_figures
from scoring.models import Calibration
from scoring.stats.cli import main
from tests.calibration import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(bob: Any) -> Calibration:
    made = make.calibration(by=bob)
    assert made.current is not None
    make.scored(made, made.current, lambda pk: pk * 7 % 11 / 2)
    return made


def table(client: Client, desk: Calibration) -> str:
    response = client.get(reverse("calibration_triples", args=[desk.uid, 1]))
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_command_line_finds_the_figures_of_the_page(
    client: Client, bob: Any, desk: Calibration, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.force_login(bob)
    (tmp_path / "triples.csv").write_text(table(client, desk))
    assert main(["correlate", str(tmp_path / "triples.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    shown = page_figures(desk, desk.current)["dev"]["figures"]  # type: ignore[arg-type]
    assert found["counts"]["triples"] == page_figures(desk, desk.current)["dev"]["n"]  # type: ignore[arg-type]
    assert shown["pcc"]["value"] == pytest.approx(pooled(found), abs=5e-5)


def pooled(found: Any) -> float:
    """The first "pcc" of a report, wherever it stands."""
    if isinstance(found, dict):
        here = found["pcc"] if isinstance(found.get("pcc"), float) else None
        return here if here is not None else next(filter(None, map(pooled, found.values())), 0.0)
    return 0.0


def test_the_held_out_part_is_in_it_only_after_a_look(client: Client, bob: Any, desk: Calibration) -> None:
    client.force_login(bob)
    before = rows(table(client, desk))
    assert {row["part"] for row in before} == {"dev"}
    services.look(calibration=desk, version=desk.current, by=bob)  # type: ignore[arg-type]
    after = rows(table(client, desk))
    assert {row["part"] for row in after} == {"dev", "held"}
    assert [row for row in after if row["part"] == "dev"] == before


def test_every_line_says_what_is_demo(client: Client, bob: Any, desk: Calibration) -> None:
    client.force_login(bob)
    type(desk.judge).objects.filter(pk=desk.judge_id).update(notice="Demo judge, not a VLM.")
    assert {row["notice"] for row in rows(table(client, desk))} == {"Demo judge, not a VLM."}
