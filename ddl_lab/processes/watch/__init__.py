"""Who follows a run: hears its ranks, finds deadlocks, carries out what the learner's hands order.

In comes what ranks say and what their board shows; out goes the end of every process and the error that it
means. It must not know how a message travels.
"""
