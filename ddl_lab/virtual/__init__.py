"""The engine on a virtual clock: ``simulate``, every node a greenlet of one process.

In come a worker and a ``Cluster``; out comes a ``History`` with the numbers of real processes and modelled
times. It must not know of processes, nor how a history is drawn.
"""
