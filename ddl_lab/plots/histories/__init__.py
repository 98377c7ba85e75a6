"""What draws a ``History``: curves of metrics, timelines, speed-ups, the explorer's figure.

In come histories; out come figures whose titles name the clock. It must not know which lab shows them.
"""
