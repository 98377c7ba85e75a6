"""The strategies of the course, one file an idea: functions of a ``node`` that call only the node.

In comes a node with its share of the digits; out come parameters. Each lab builds its own by hand first; what
stands here is the same, and a test compares the two. It must not know which engine runs it.
"""
