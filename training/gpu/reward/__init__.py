"""Reward models: trained on what people said of edits, they score edits as people would."""
