"""GenAI-Bench, image editing: votes on pairs, with ties and "both bad".

Source: https://huggingface.co/datasets/TIGER-Lab/GenAI-Bench, configuration ``image_edition``, split ``test_v1``: its
card and the repository TIGER-AI-Lab/GenAI-Bench (``inference.py``, ``inference_configs.json``) name the columns read
here. Not tried on the published Parquet file itself, which is not at hand; the votes of all 919 pairs, without
pictures, are (see docs/judges-compared.md).

``image_edition/test_v1-*.parquet``: ``instruct_prompt``, ``source_image``, ``left_model``, ``left_output_image``,
``right_model``, ``right_output_image``, ``vote_type`` (leftvote, rightvote, tievote, bothbad_vote).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annotation.importing.problems import quoted
from training.rewards.groups import Dimension, Labels
from training.rewards.layouts import Item
from training.rewards.layouts._reading import first_of, found, made, picture, table_lines
from training.rewards.reading import Line

NAME = "genai_bench"
LABEL = "GenAI-Bench (image editing)"
ABOUT = "Parquet file of the image_edition configuration: one pair a row, with a vote."
DIMENSIONS = (Dimension("overall", "Overall", 0, 1),)
PATTERNS = ("image_edition/test_v1-*.parquet", "test_v1-*.parquet")
COLUMNS = (
    "instruct_prompt",
    "source_image",
    "left_model",
    "left_output_image",
    "right_model",
    "right_output_image",
    "vote_type",
)
BOTH_BAD = "bothbad_vote"
OUTCOMES = {"leftvote": 1, "rightvote": -1, "tievote": 0, BOTH_BAD: 0}


def read(folder: Path) -> Iterator[Item]:
    parts = found(first_of(folder, *PATTERNS).parent, "test_v1-*.parquet")
    for count, line in enumerate(table_lines(parts, COLUMNS)):
        pictures = [picture(line, line.cells[f"{side}_output_image"], folder) for side in ("left", "right")]
        yield Item(
            key=f"pair-{count:04}",
            source=picture(line, line.cells["source_image"], folder),
            instruction=line.text("instruct_prompt"),
            task="",
            candidates=made([line.cells["left_model"], line.cells["right_model"]], pictures),
            labels={"overall": vote(line)},
        )


def vote(line: Line) -> Labels:
    """The vote to the letter; anything else is an error, never a guess."""
    said = line.text("vote_type")
    if said not in OUTCOMES:
        raise line.wrong(f"vote_type is {quoted(said)}; known are {', '.join(OUTCOMES)}.")
    bad = frozenset({(0, 1)}) if said == BOTH_BAD else frozenset()
    return Labels(pairs=((0, 1, OUTCOMES[said]),), both_bad=bad)
