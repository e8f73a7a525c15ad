"""A linear patch autoencoder behind the interface that FluxKontextPipeline expects of its VAE.

A patch of 4 x 4 pixels (48 numbers) becomes 12: its principal components, in closed form. Their standard deviations are
brought to a power below one ("flattened"), so that the fine components are not lost in the noise of the first half of
the sampling, and the coarse ones still weigh more in the loss.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

PATCH, CHANNELS = 4, 12


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """``encode`` and ``decode`` are matrices; the latent distribution has no spread, so its mode is its sample."""

    @register_to_config
    def __init__(
        self,
        patch: int = PATCH,
        latent_channels: int = CHANNELS,
        block_out_channels: tuple[int, ...] = (1, 1, 1),  # the pipeline reads the scale 2 ** (length - 1) from it
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
    ) -> None:
        super().__init__()
        size = 3 * patch * patch
        self.mean = torch.nn.Parameter(torch.zeros(size), requires_grad=False)
        self.analysis = torch.nn.Parameter(torch.zeros(latent_channels, size), requires_grad=False)
        self.synthesis = torch.nn.Parameter(torch.zeros(size, latent_channels), requires_grad=False)

    def latents(self, images: Tensor) -> Tensor:
        """Images (n, 3, h, w) in -1..1 to latents (n, 12, h/4, w/4)."""
        patches = torch.nn.functional.pixel_unshuffle(images, self.config.patch)
        centred = patches - self.mean[:, None, None]
        latents: Tensor = torch.einsum("ck,nkhw->nchw", self.analysis, centred)
        return latents

    def encode(self, x: Tensor, return_dict: bool = True) -> Any:
        mode = self.latents(x)
        distribution = DiagonalGaussianDistribution(torch.cat([mode, torch.zeros_like(mode)], 1), deterministic=True)
        return AutoencoderKLOutput(latent_dist=distribution) if return_dict else (distribution,)

    def decode(self, z: Tensor, return_dict: bool = True) -> Any:
        patches = torch.einsum("kc,nchw->nkhw", self.synthesis, z) + self.mean[:, None, None]
        sample = torch.nn.functional.pixel_shuffle(patches, self.config.patch)
        return DecoderOutput(sample=sample) if return_dict else (sample,)


def fit_autoencoder(images: Tensor, flatness: float) -> PatchAutoencoder:
    """The autoencoder of these images (n, 3, h, w) in -1..1, by eigenvalues of their patches' covariance.

    ``flatness`` 1 gives every latent channel the variance 1, 0 leaves the variances as they are; the mean variance over
    the channels is 1 in any case, the size that rectified flow expects beside noise of variance 1.
    """
    vae: PatchAutoencoder = PatchAutoencoder()
    patches = torch.nn.functional.pixel_unshuffle(images.double(), PATCH).movedim(1, -1).flatten(0, -2)
    mean = patches.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
    values, vectors = values.flip(0)[:CHANNELS], vectors.flip(1)[:, :CHANNELS]
    largest = vectors.gather(0, vectors.abs().argmax(0)[None])
    vectors = vectors * largest.sign()  # the sign of an eigenvector is arbitrary: its largest number is positive
    wanted = values.sqrt() ** (1 - flatness)
    wanted = wanted / wanted.square().mean().sqrt()
    gain = wanted / values.sqrt()
    vae.mean.data = mean.float()
    vae.analysis.data = (vectors * gain).T.float().contiguous()
    vae.synthesis.data = (vectors / gain).float().contiguous()
    return vae
