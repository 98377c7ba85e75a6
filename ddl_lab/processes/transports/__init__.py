"""How ranks talk: through shared memory, over gloo or NCCL, at the machine's pace or a cluster's.

In come orders of a rank's ``Node``; out go messages delivered, collectives carried out, and marks on the
board. It must not know who forked the ranks, nor who watches them.
"""
