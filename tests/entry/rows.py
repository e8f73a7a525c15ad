"""A study with a way in, its reference items, and an annotator who goes through it by the pages' addresses."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.test import Client
from django.urls import reverse

from annotation.entry import services
from annotation.models import Assignment, Candidate, Member, Reference, Study
from annotation.protocols import PRESETS, Entry
from tests import judging

MEASURES = {"inner_width": 1280, "inner_height": 720, "outer_width": 1280, "outer_height": 800}
SCREEN = {**MEASURES, "screen_width": 1920, "screen_height": 1080, "ratio": 1, "pinch": 1}
RIGHT = {"quality": 4.0, "alignment": 2.0}
GOOD = judging.rated({"quality": 4, "alignment": 2, "preservation": 3})
BAD = judging.rated({"quality": 1, "alignment": 5, "preservation": 3})


def study(carol: Any, owner: Any = None, preset: str = "mos", guidelines: str = "", **entry: Any) -> Study:
    protocol = replace(PRESETS[preset], entry=Entry(**entry))
    data = judging.dataset(cases=3, editors=2, owner=owner)
    return judging.study(data, preset, (carol,), protocol=protocol, by=owner, guidelines=guidelines)


def candidates(made: Study) -> list[Candidate]:
    return list(Candidate.objects.filter(case__dataset=made.dataset).select_related("case").order_by("id"))


def reference(made: Study, purpose: str, number: int = 0, answer: Any = None, **more: Any) -> Reference:
    return services.add_reference(
        study=made,
        candidates=[candidates(made)[number]],
        purpose=purpose,
        answer=answer or {"scores": RIGHT, "tolerance": {"quality": 5}},
        by=None,
        **more,
    )


@dataclass
class Walker:
    """An annotator at the pages."""

    client: Client
    study: Study
    user: Any

    @property
    def member(self) -> Member:
        return Member.objects.select_related("study", "user").get(study=self.study, user=self.user)

    def get(self, name: str, *more: Any) -> Any:
        return self.client.get(reverse(name, args=[self.study.uid, *more]))

    def go_on(self, step: str, **values: Any) -> Any:
        return self.client.post(reverse("way_in", args=[self.study.uid]), {"step": step, **values})

    def post(self, name: str, **body: Any) -> Any:
        url = reverse(name, args=[self.study.uid])
        return self.client.post(url, {"want": 1, "have": [], **body}, content_type="application/json")

    def answer(self, item: Mapping[str, Any] | str, answer: Any, name: str = "practice_events") -> dict[str, Any]:
        uid = item if isinstance(item, str) else item["uid"]
        event = {"key": str(uuid.uuid4()), "assignment": uid, "seq": 1, "kind": "submit", "data": {"answer": answer}}
        reply = self.post(name, events=[{**event, "at": 1}])
        assert reply.status_code == 200, reply.content
        value: dict[str, Any] = reply.json()
        return value

    def practise(self, *answers: Any) -> dict[str, Any]:
        """Answer the items of a part that has begun, in the order in which they come; the last reply."""
        reply = self.post("practice_next").json()
        for answer in answers:
            reply = self.answer(reply["assignments"][0], answer)
        return reply

    def qualify(self, *answers: Any) -> dict[str, Any]:
        self.go_on("qualification")
        return self.practise(*answers)

    def live(self) -> Any:
        return self.post("work_next")

    def where(self) -> str:
        """Where the button "Begin" leads: the step in its form, or "work"."""
        reply = self.get("workplace")
        if reply.status_code == 200:
            return "work"
        assert reply["Location"] == reverse("way_in", args=[self.study.uid])
        context: str = self.get("way_in").context["step"]
        return context

    def held(self) -> Assignment:
        return Assignment.objects.filter(study=self.study, annotator=self.user).select_related("unit").latest("id")


Walk = Callable[..., Walker]
