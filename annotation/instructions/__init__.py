"""Instruction writing: a model proposes instructions for source images, a person accepts what is good.

prompts.py and replies.py are pure: what the model is asked, and how its answer is read. propose.py is the job,
services.py what a reviewer does, queries.py and review.py what the pages show.
"""
