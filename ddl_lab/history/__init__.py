"""What happened in a run: records of every node, as tables, traces and files.

In come spans and metrics as packed bytes; out go ``History``'s tables, its critical path, a saved file. It
must not know which engine recorded, nor how it is drawn.
"""
