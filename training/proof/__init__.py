"""The proof that a post-training helped: people judge edits of base and trained editor, and do not see who made which.

``plan`` is what is asked for, ``starting`` begins a proof, ``services`` brings it from its images to its studies,
``reading`` makes tables of what people said, ``report`` the figures of its page.
"""
