"""Aggregation of human judgements as pure functions: no Django, no database, no files besides the CSV reader.

One function per aggregation, the same for web pages, exports and ``manage.py stats``. Methods and their sources are in
docs/statistics.md. Everything works on columns: integer codes beside one column of numbers.
"""
