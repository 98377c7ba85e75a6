"""How a worker and its tensors get to a node, and back.

In comes a function with all it captures; out go bytes that make each node its own copy, or a refusal that
names what can't travel; and the process-wide state that goes with a node. It must not know where the bytes
go, nor which data sets are shared by name.
"""
