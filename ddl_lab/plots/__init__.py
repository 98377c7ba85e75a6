"""Every figure of the course: takes what a run recorded, returns a matplotlib Figure.

Each title says on which clock it was measured. matplotlib is imported by the first plot, not
before: that takes a second.
"""

from ..history.history import PLOTTERS
from .bars import speedup
from .costs import costs, fitted
from .descent import Plane, descent, step_errors
from .lines import lines
from .metrics import metric
from .pictures import pictures
from .schedules import schedules
from .stacked import stacked
from .timelines import draw_timeline, timeline

__all__ = [
    "Plane",
    "costs",
    "descent",
    "draw_timeline",
    "fitted",
    "lines",
    "metric",
    "pictures",
    "schedules",
    "speedup",
    "stacked",
    "step_errors",
    "timeline",
]

PLOTTERS["metric"] = metric
PLOTTERS["timeline"] = timeline
