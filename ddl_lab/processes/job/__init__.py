"""A rank of a job that torchrun started: how its processes find each other, talk, and end in time.

In come the variables that make a process a rank; out comes an endpoint as a run of our own has it. It must
not know how a run of our own starts its workers.
"""
