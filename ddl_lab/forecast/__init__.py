"""This machine measured as a cluster, and how long a worker would take on one.

In come a worker and a machine; out go a ``Cluster`` with its scatter and a predicted time beside the
measured. It must not know what the worker trains.
"""

from .prediction import predict

__all__ = ["predict"]
