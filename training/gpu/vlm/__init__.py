"""Vision-language models by transformers: what judges and writes, from weights that are on this machine."""
