"""Screens of annotators. They find something for a person to look at; what follows from it is that person's decision.

``rules`` are pure functions of columns, ``columns`` reads them, ``services`` writes checks, concerns and decisions,
``queries`` reads the page.
"""
