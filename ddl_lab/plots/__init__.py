"""Every figure of the course: what draws a History, what one lab draws, and the ground both share.

In comes what a run recorded or a lab worked out; out comes a matplotlib Figure whose title says on which
clock it was measured. matplotlib is imported by the first plot, which takes a second. It must not know how
a run is made, nor of widgets.
"""

from ..history.history import PLOTTERS
from .costs import costs, fitted
from .histories.bars import speedup
from .histories.metrics import metric
from .histories.timelines import timeline
from .labs.lab_00 import pictures
from .labs.lab_02 import Plane, descent, step_errors
from .labs.lab_08 import schedules
from .labs.lab_10 import stacked
from .lines import lines
from .parts import who_has

__all__ = [
    "Plane",
    "costs",
    "descent",
    "fitted",
    "lines",
    "metric",
    "pictures",
    "schedules",
    "speedup",
    "stacked",
    "step_errors",
    "timeline",
    "who_has",
]

PLOTTERS["metric"] = metric
PLOTTERS["timeline"] = timeline
