"""Going on after failures: ``keep_going`` starts a worker again, which finds what it has saved itself.

In come a worker and an engine; out comes one ``History`` of all attempts. It must not know how an engine runs
a worker, nor what a worker saves.
"""
