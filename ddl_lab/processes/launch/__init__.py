"""How workers come to be: a fork server, its guardian, what both are handed, and a worker's life.

In come a payload and descriptors; out come processes that say what they record and print. It must not know
why a run ends.
"""
