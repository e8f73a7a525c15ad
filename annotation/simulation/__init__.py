"""Annotators made of arithmetic, for studies of the drawn world: there the right answer to every edit is known.

``annotators`` says what one of them answers (pure), ``truth`` what is true of a candidate, ``run`` lets them judge a
study through the services that the pages use.
"""
