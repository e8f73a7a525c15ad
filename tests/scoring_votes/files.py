"""Small files of votes in GenAI-Bench's layout."""

import json
from typing import Any

from tests.stats.shared import shared_file

WRITTEN = {"A": "[[A>B]]", "B": "[[B>A]]", "tie": "[[A=B=Good]]", "bad": "[[A=B=Bad]]"}
PEOPLE = {"A": "leftvote", "B": "rightvote", "tie": "tievote", "bad": "bothbad_vote"}


def pair(idx: Any, human: str = "A", /, **votes: Any) -> dict[str, Any]:
    """One row; votes by short names, everything else as it is."""
    judges = {name: WRITTEN.get(vote, vote) if isinstance(vote, str) else vote for name, vote in votes.items()}
    return {"idx": idx, "human_vote": PEOPLE.get(human, human), "model_votes": judges}


def file_of(*rows: Any) -> bytes:
    return json.dumps(list(rows)).encode()


def small() -> bytes:
    """Four pairs of three sources; right is always right, left always says A, mute says nothing that can be read."""
    rows = [
        pair(0, "A", right="A", left="A", mute=None),
        pair(1, "B", right="B", left="A", mute="[[A > B]]"),
        pair(2, "tie", right="tie", left="A", mute="<b>A</b>"),
        pair(3, "bad", right="bad", left="A", mute=None),
    ]
    for row, source in zip(rows, ("a mug", "a mug", "a dog", "a cat"), strict=True):
        row["source_prompt"] = source
    return file_of(*rows)


def benchmark() -> bytes:
    return shared_file("human-data/genai-bench/image_edition_votes.json").read_bytes()
