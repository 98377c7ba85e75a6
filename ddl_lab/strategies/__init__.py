"""The strategies of the course, one file an idea: functions of a ``node`` that call only the node.

Both engines run them. Each lab builds its own by hand first; what stands here is the same, and a test
compares the two.
"""
