"""Every figure of the course: takes what a run recorded, returns a matplotlib Figure.

Each title says on which clock it was measured. matplotlib is imported by the first plot, not
before: that takes a second.
"""

from ..history import PLOTTERS
from .bars import speedup
from .lanes import timeline
from .metrics import metric
from .pictures import pictures

__all__ = ["metric", "pictures", "speedup", "timeline"]

PLOTTERS["metric"] = metric
PLOTTERS["timeline"] = timeline
