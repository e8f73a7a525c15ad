"""Groups in one pass under a mask: the same numbers as each candidate alone, for three families of real classes."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.gpu.reward.vlm_groups import (
    alone,
    gradients,
    group,
    largest_difference,
    made,
    picture,
    plain_states,
    states,
)
from tests.gpu.tiny_judges import EACH
from training.gpu.reward.vlm.packing import additive_mask, pack, positions
from training.gpu.reward.vlm.template import Span

GROUPS = (group(0, 3), group(10, 1, "Remove the second lamp, and nothing else."), group(20, 4, ""))


@EACH
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_pass_over_groups_equals_the_plain_model_on_each_candidate_alone(kind: str, attention: str) -> None:
    backbone = made(kind)
    backbone.core.set_attn_implementation(attention)
    together = states(backbone, GROUPS)
    assert together.shape == (8, 2, 32) and together.dtype == torch.float32
    of_groups = gradients(backbone, together)
    separate = torch.stack([plain_states(backbone, one) for example in GROUPS for one in alone(example)])
    assert (together - separate).abs().max() < 1e-5
    assert largest_difference(of_groups, gradients(backbone, separate)) < 1e-5
    assert (together[0] - together[1]).abs().max() > 1e-2  # candidates are told apart


@EACH
def test_the_order_of_candidates_is_the_order_of_states(kind: str) -> None:
    backbone, example = made(kind), GROUPS[2]
    order = [2, 0, 3, 1]
    turned = replace(example, candidates=tuple(example.candidates[place] for place in order))
    with torch.no_grad():
        assert torch.allclose(states(backbone, [example])[order], states(backbone, [turned]), atol=1e-5)


@EACH
def test_a_candidate_cannot_see_another_one_and_sees_itself_and_the_source(kind: str) -> None:
    backbone, example = made(kind), GROUPS[0]
    _first, *others = example.candidates
    with torch.no_grad():
        before = states(backbone, [example])
        other = states(backbone, [replace(example, candidates=(picture(25), *others))])
        source = states(backbone, [replace(example, source=picture(26))])
        instruction = states(backbone, [replace(example, instruction="Make it red.")])
    assert torch.allclose(before[1:], other[1:], atol=1e-5)
    for changed in (other[0], source[0], instruction[0]):
        assert (before[0] - changed).abs().max() > 1e-3


@EACH
def test_in_bfloat16_states_are_near_and_numbers_that_are_trained_are_float32(kind: str) -> None:
    exact, full, lora = made(kind), made(kind, dtype="bfloat16"), made(kind, dtype="bfloat16", lora_rank=2)
    with torch.no_grad():
        wanted = states(exact, GROUPS[:2])
    for backbone in (full, lora):
        found = states(backbone, GROUPS[:2])
        assert found.dtype == torch.float32
        assert 0 < (found - wanted).abs().mean() < 0.02  # of states around 0.75; candidates are 0.05 apart
        assert {value.dtype for value in backbone.trained().values()} == {torch.float32}
        assert all(value.isfinite().all() for value in gradients(backbone, found).values())


def test_a_level_is_read_by_the_language_head_at_its_first_token() -> None:
    backbone = made("qwen3_vl")
    tokenizer = backbone.family.processor.tokenizer
    hidden = states(backbone, GROUPS[:1])
    whole = backbone.core.lm_head(hidden)
    firsts = [tokenizer.convert_tokens_to_ids(letter) for letter in "bpfge"]
    assert torch.allclose(backbone.levels(hidden), whole[..., firsts], atol=1e-5)


def test_lengths_are_those_of_the_whole_group() -> None:
    backbone = made("qwen2_5_vl")
    one, four = backbone.prepare(group(0, 1)), backbone.prepare(group(0, 4))
    assert four.length == len(four.tensors["ids"]) and one.length < four.length < 4 * one.length
    assert (one.count, four.count) == (1, 4)


# Packing, by hand ----------------------------------------------------------------------------------------------------


def test_positions_go_on_from_the_prefix_for_each_candidate() -> None:
    prefix = [Span((1, 2)), Span((9,) * 6, (2, 3)), Span((3,))]
    suffixes = [[Span((4,)), Span((9, 9), (1, 2)), Span((7, 8))], [Span((7, 8))]]
    packed = pack(prefix, suffixes, (7, 8))
    assert packed.ids.tolist() == [1, 2, 9, 9, 9, 9, 9, 9, 3, 4, 9, 9, 7, 8, 7, 8]
    assert packed.positions.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 7, 7, 9, 10, 6, 7],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 7, 9, 10, 6, 7],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8, 9, 10, 6, 7],
    ]
    assert packed.segment.tolist() == [0] * 9 + [1] * 5 + [2] * 2
    assert packed.places.tolist() == [[12, 13], [14, 15]]
    assert positions([], 4)[1] == 4


def test_the_mask_by_brute_force() -> None:
    segment = torch.tensor([[0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 2, -1, -1, -1]])
    mask = additive_mask(segment, torch.float32)
    assert mask.shape == (2, 1, 7, 7)
    for row, segments in enumerate(segment.tolist()):
        for asks in range(7):
            for seen in range(7):
                may = seen <= asks and segments[seen] in (0, segments[asks])
                assert (mask[row, 0, asks, seen] == 0) == may
    real = segment[1] >= 0
    assert (mask[1, 0][real][:, ~real] < -1e30).all()  # no real token sees padding


def test_a_candidate_without_its_reward_tokens_at_the_end_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="reward tokens"):
        pack([Span((1,))], [[Span((7,)), Span((2,))]], (7,))
