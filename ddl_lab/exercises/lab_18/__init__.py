"""Lab 18, from here: a stop that all take together, whom to hire, an alarm on a stream, a net in 30 kB."""

from .together import together
from .hire import hire
from .alarm import alarm
from .small import small

__all__ = ["together", "hire", "alarm", "small"]
