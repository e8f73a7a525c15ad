"""Vision-language models of transformers as backbones of reward models: Qwen2.5-VL, Qwen3-VL, InternVL.

A group is one sequence: rubric, source and instruction once, then the candidates, each blind to the others. See
docs/reward-backbones.md.
"""

from training.gpu.reward.vlm.loading import build, load

__all__ = ["build", "load"]
