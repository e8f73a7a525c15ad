"""A data set with proposals, an endpoint that writes them, and what it answers."""

import json
from pathlib import Path
from typing import Any

from annotation.instructions.prompts import PROMPT_VERSION
from annotation.models import Dataset, Proposal
from tests import make
from tests.endpoints.service import KEY, Asked, Reply, chat
from webapp.endpoints.models import Endpoint
from webapp.endpoints.services import save_endpoint

TEXTS = {
    "instruction": "Remove the red cup.",
    "instruction_zh": "去掉红色杯子。",
    "description": "An empty table.",
    "requirement": "The cup is gone, the table is whole.",
}


def draft(name: str = "cup", **changes: Any) -> dict[str, Any]:
    return {**TEXTS, "instruction": f"Remove the {name}.", **changes}


def answer(*drafts: Any, **changes: Any) -> Reply:
    return chat(json.dumps({"proposals": list(drafts)}, ensure_ascii=False), **changes)


def prompt_of(asked: Asked) -> str:
    text: str = asked.value["messages"][0]["content"][0]["text"]
    return text


def new_ones(asked: Asked) -> Reply:
    """As many drafts as were asked for, different at each request."""
    wanted = int(prompt_of(asked).split("Then write ", 1)[1].split()[0])
    return answer(*(draft(f"cup {id(asked)} {number}") for number in range(wanted)))


def endpoint(address: str, **changes: Any) -> Endpoint:
    values = {"name": "Writer", "slug": "writer", "kind": "chat", "model": "asked-model", "concurrency": 2, **changes}
    return save_endpoint(endpoint=Endpoint(base_url=address, **values), key=KEY)


def proposals(folder: Path, count: int = 3, cases: int = 1, task: str = "remove", **fields: Any) -> Dataset:
    """A data set, and ``count`` proposals of one task for the source of each case."""
    data = make.dataset(folder, cases=cases, editors=0)
    for case in data.cases.order_by("id"):
        for number in range(count):
            propose(
                data, source=case.source, task_id=task, number=number, instruction=f"Remove cup {number}.", **fields
            )
    return data


def propose(data: Dataset, **fields: Any) -> Proposal:
    values = {**TEXTS, "model": "m-1", "prompt_version": PROMPT_VERSION, **fields}
    return Proposal.objects.create(dataset=data, **values)
