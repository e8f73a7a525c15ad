"""The demo judge: a small network that answers questions, given as text, about edits of the drawn world. Not a VLM.

``words`` (tokens), ``others`` (questions that it must decline), ``attempts`` and ``data`` (training data), ``network``,
``weights`` (the file and its hash), ``train`` and ``evaluate`` (programs), ``card``. docs/embedded-judge.md tells the
whole; the trained weights lie in ``weights/``.
"""
