"""What one lab alone draws, a file a lab.

In come numbers that a lab has worked out; out come its figures. It must not know how they were measured.
"""
