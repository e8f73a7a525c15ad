"""What the diffusers editors share: settings, loading, LoRA, noise. One editor is one file of ``editors``.

``settings`` and ``presets`` import neither torch nor diffusers, so that a page can check settings and memory; the
others are imported once an editor is loaded.
"""
