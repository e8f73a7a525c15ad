"""Judges: models that score an edit by a scoring prompt. Pure: no Django, no database, no torch.

Every backend gets the same rendered prompt with two pictures (``contract.Request``) and gives the same answer
(``contract.Reply``). Where no number can be read there is a status that says why, never a number.
"""
