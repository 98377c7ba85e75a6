"""The contest: 93 % on an awful cluster, in the fewest seconds or for the least money.

In comes a worker; out goes what it took, from its source alone. It must not know what the notebook shows,
nor which entries are good.
"""
