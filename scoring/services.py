"""Writes that follow from results."""


def ask_more_raters(*, study):
    return 0
