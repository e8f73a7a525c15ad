"""Rows for the tests of the interface, and a client that sends a token."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation.models import (
    Assignment,
    Dataset,
    Item,
    ItemCandidate,
    Judgement,
    Mark,
    Member,
    StoredImage,
    Study,
    Unit,
)
from annotation.protocols import PRESETS
from scoring.export_tables import Options
from scoring.exports import start_export
from tests import judging
from webapp.accounts.models import Scope, User
from webapp.accounts.tokens import make_token
from webapp.jobs import services as jobs
from webapp.jobs.models import Job

DIMENSIONS = ("quality", "alignment", "preservation")


@dataclass
class World:
    engineer: User
    annotator: User
    data: Dataset
    study: Study
    member: Member
    export: Job
    job: Job
    token: str

    def uids(self) -> dict[str, list[str]]:
        """UIDs that exist, by the part of the address that is about them."""
        found: dict[str, Iterable[Any]] = {
            "datasets": [self.data],
            "images": StoredImage.objects.all(),
            "studies": Study.objects.all(),
            "members": Member.objects.all(),
            "judgements": Judgement.objects.all(),
            "exports": [self.export],
            "jobs": [self.job, self.export],
        }
        return {kind: [str(row.uid) for row in rows] for kind, rows in found.items()}


def study_of(data: Dataset, owner: User | None, annotator: User) -> tuple[Study, Member]:
    """A study whose one annotator has rated every candidate; rows alone, by no service."""
    protocol = json.loads(json.dumps(PRESETS["mos"].to_json()))
    study = Study.objects.create(
        name=f"Study {Study.objects.count()}",
        dataset=data,
        preset="mos",
        protocol_json=protocol,
        seed=1,
        created_by=owner,
    )
    member = Member.objects.create(study=study, user=annotator, position=0)
    for number, candidate in enumerate(c for case in data.cases.all() for c in case.candidates.all()):
        item = Item.objects.create(study=study, case=candidate.case)
        ItemCandidate.objects.create(item=item, candidate=candidate)
        unit = Unit.objects.create(study=study, item=item, target=2, taken=1, done=1, shuffle=0.5)
        add_judgement(unit, annotator, candidate, 1 + number % 5)
    return study, member


def add_judgement(unit: Unit, annotator: User, candidate: Any, score: float, **more: Any) -> Judgement:
    held = {"study": unit.study, "unit": unit, "annotator": annotator}
    assignment = Assignment.objects.create(**held, order=[candidate.pk], leased_until=timezone.now(), state="done")
    judgement = Judgement.objects.create(**held, assignment=assignment, answer={}, seconds=4.5, **more)
    Mark.objects.bulk_create(
        Mark(judgement=judgement, candidate=candidate, dimension=name, score=score) for name in DIMENSIONS
    )
    return judgement


def world() -> World:
    engineer = User.objects.create(username="erin", role="engineer")
    annotator = User.objects.create(username="ann", role="annotator")
    data = judging.dataset(cases=2, editors=2, notice="Demo data.", owner=engineer)
    study, member = study_of(data, engineer, annotator)
    export = start_export(study=study, table="ratings", format="csv", options=Options(), by=engineer)
    job = jobs.start(kind="import", title="An import", config={"path": "/secret/path"}, by=engineer)
    _row, token = make_token(by=engineer, name="all", scopes=Scope.values)
    return World(engineer, annotator, data, study, member, export, job, token)


class Program:
    """A program with a token."""

    def __init__(self, token: str) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method: str, path: str, body: Any = None, raw: bytes | None = None, **more: Any) -> Any:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        more = {"content_type": "application/json", **more}
        return self.client.generic(
            method, path if path[0] == "/" else f"/api/v1/{path}", data, headers=self.headers, **more
        )

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(path if path[0] == "/" else f"/api/v1/{path}", query, headers=self.headers)

    def cost(self, path: str, **query: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert self.get(path, **query).status_code == 200
        return len(queries)


def scoped(user: User, *scopes: str) -> Program:
    return Program(make_token(by=user, name="some", scopes=scopes)[1])
