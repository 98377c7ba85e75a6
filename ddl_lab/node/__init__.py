"""What a worker is given: ``Node`` and its calls.

In come a worker's tensors and ranks; out go checked orders to an engine's ``Port``, and records of what
happened. It must not know which engine carries it, nor what is trained.
"""

from .node import Node

__all__ = ["Node"]
