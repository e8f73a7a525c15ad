"""Versions: a data set as it was, with a card that describes it, and its exports."""
