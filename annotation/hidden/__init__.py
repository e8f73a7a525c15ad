"""Hidden checks among an annotator's work: gold items, attention checks, repeats, and candidates that test the eye.

``schedule`` says when (pure), ``placing`` what comes next for one annotator, ``controls`` puts the untouched source and
duplicates among a new study's candidates, ``expected`` says what passes (pure).
"""
