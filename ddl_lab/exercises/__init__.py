"""The exercises: a folder a lab, a file an exercise; the contest; above them the machine that checks.

In comes a learner's function; out goes "right", "not yet" with the likely mistake, or the course's answer.
It must not know what the notebook shows, nor who is learning.
"""
