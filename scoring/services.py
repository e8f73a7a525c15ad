"""Writes that follow from results."""

from scoring.reannotation.services import ask_more_raters

__all__ = ["ask_more_raters"]
