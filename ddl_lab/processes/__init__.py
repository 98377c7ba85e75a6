"""The engine of real processes: ``run`` and ``start``, and the same inside torchrun.

In come a worker and a plan; out comes a ``History``, or an error that names the rank, and no process is
left. ``transports/`` carries messages, ``launch/`` makes processes, ``watch/`` hears and ends them. It must
not know what a worker trains, nor how a history is drawn.
"""
