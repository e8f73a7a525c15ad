"""The backbone of the drawn world: what it reads, what it refuses, and that groups do not see one another."""

import numpy as np
import pytest
import torch
from PIL import Image

from drawnworld.edits import draw_pair
from drawnworld.scene import SIZE
from tests.gpu.reward.test_checkpoint import example
from training.gpu.drawn_judge.weights import load_weights
from training.gpu.editors import CannotEdit
from training.gpu.reward import drawn
from training.gpu.reward.backbones import WrongBackbone, build_backbone, load_backbone
from training.gpu.reward.drawn import DrawnBackbone
from training.gpu.reward.network import LEVELS, Example, RewardNetwork
from training.rewards.config import Config

KEYS = ("quality", "alignment", "preservation")


@pytest.fixture(scope="module")
def backbone() -> DrawnBackbone:
    return drawn.build(Config(), KEYS)


def test_states_are_of_each_candidate_and_dimension(backbone: DrawnBackbone) -> None:
    rows = [backbone.prepare(example(0)), backbone.prepare(example(1, candidates=2))]
    assert [row.count for row in rows] == [3, 2] and rows[0].length > rows[1].length
    hidden = backbone(backbone.collate(rows))
    assert hidden.shape == (5, 3, backbone.width) and hidden.dtype == torch.float32
    assert backbone.levels(hidden).shape == (5, 3, LEVELS)
    alone = torch.cat([backbone(backbone.collate([row])) for row in rows])
    torch.testing.assert_close(hidden, alone, atol=1e-5, rtol=1e-5)


def test_gradients_of_a_batch_are_those_of_its_groups(backbone: DrawnBackbone) -> None:
    """Also where one group's instruction is padded to another's length."""
    rows = [backbone.prepare(example(number)) for number in range(3)]
    assert len({len(row.tensors["words"]) for row in rows}) > 1
    gradients = []
    for parts in ([rows], [[row] for row in rows]):
        backbone.zero_grad()
        for part in parts:
            backbone(backbone.collate(part)).square().sum().backward()
        gradients.append(
            {name: value.grad.clone() for name, value in backbone.trained().items() if value.grad is not None}
        )
    backbone.zero_grad()
    assert gradients[0].keys() == gradients[1].keys() and len(gradients[0]) > 40
    for name, value in gradients[0].items():
        torch.testing.assert_close(value, gradients[1][name], atol=1e-4 * float(value.abs().max()) + 1e-6, rtol=1e-3)


def test_it_starts_from_the_judges_weights_and_its_questions(backbone: DrawnBackbone) -> None:
    judge, digest = load_weights()
    assert backbone.describe()["pretrained"] == digest
    assert torch.equal(backbone.judge.fine.weight, judge.fine.weight)
    assert not torch.equal(backbone.tokens[0], backbone.tokens[1])
    frozen = {name for name, value in backbone.named_parameters() if not value.requires_grad}
    assert frozen and all(name.startswith("judge.") for name in frozen)


def test_an_enlarged_picture_is_brought_back_exactly(backbone: DrawnBackbone) -> None:
    small = example(0)
    large = [one.resize((4 * SIZE, 4 * SIZE), Image.Resampling.NEAREST) for one in (small.source, *small.candidates)]
    grown = backbone.prepare(Example(small.key, small.instruction, large[0], tuple(large[1:])))
    assert all(torch.equal(value, grown.tensors[name]) for name, value in backbone.prepare(small).tensors.items())


def test_pictures_and_words_of_another_world_are_refused(backbone: DrawnBackbone) -> None:
    here = example(0)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))
    wide = Image.new("RGB", (SIZE, 2 * SIZE))
    for source, candidate, text, words in (
        (noise, here.candidates[0], here.instruction, "source of g is no scene"),
        (here.source, wide, here.instruction, "candidate 1 of g has 64 x 128 pixels"),
        (here.source, here.candidates[0], "make the person smile broadly", "does not know .*person"),
        (here.source, here.candidates[0], "", "drawn world alone"),
    ):
        with pytest.raises(CannotEdit, match=words):
            backbone.prepare(Example("g", text, source, (candidate,)))


def test_backbones_go_by_name(tmp_path: "object") -> None:
    assert build_backbone(Config(), ("alignment",)).dimensions == ("alignment",)
    with pytest.raises(WrongBackbone, match="no backbone 'nothing', only: drawn, transformers"):
        load_backbone("nothing", tmp_path, {}, "cpu")  # type: ignore[arg-type]


def test_a_new_network_says_the_middle_of_the_scale(backbone: DrawnBackbone) -> None:
    network = RewardNetwork(backbone, [1, 0, 0], [5, 1, 100])
    mu, log_sigma = network(backbone.collate([backbone.prepare(example(0))]))
    assert mu.tolist() == [[3, 0.5, 50]] * 3
    torch.testing.assert_close(log_sigma.exp(), torch.tensor([[1, 0.25, 25.0]] * 3), atol=1e-3, rtol=1e-3)


def test_the_source_matters(backbone: DrawnBackbone) -> None:
    """The same candidate beside another source is another edit."""
    first, second = draw_pair(78, 0), draw_pair(78, 1)
    rows = [
        backbone.prepare(
            Example("g", first.edit.instruction, Image.fromarray(one.source), (Image.fromarray(first.target),))
        )
        for one in (first, second)
    ]
    with torch.no_grad():
        hidden = backbone(backbone.collate(rows))
    assert (hidden[0] - hidden[1]).abs().max() > 0.1
