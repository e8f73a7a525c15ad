"""A small real editor of the drawn world: the classes of FLUX.1-Kontext, 1.3 million parameters, two CPU cores.

It edits pictures of 64 x 64 pixels by flow matching, in under a second, and makes mistakes that people can see. So
every stage that comes after an editor can be run and tested without a GPU: candidates, judgements, rewards,
post-training.

``words`` (tokenizers), ``autoencoder`` (latents), ``assemble`` (the stock diffusers pipeline from configuration),
``weights`` (files and their hashes), ``pairs`` (data), ``train`` and ``evaluate`` (programs). docs/cpu-editor.md tells
the whole; the trained weights lie in ``weights/``.
"""
