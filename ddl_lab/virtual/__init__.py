"""``simulate``: every node a greenlet in this process, on a virtual clock."""
