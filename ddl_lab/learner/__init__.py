"""The learner's own: predictions before a run, the file that keeps them, numbers as people type them.

In comes what a learner writes; out goes what stood there, and how near it came. It must not know what was
run, nor which exercises there are.
"""
