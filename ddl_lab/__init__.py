"""ddl_lab: distributed deep learning, one worker function and two clocks.

``import ddl_lab as lab`` loads nothing yet; a name loads its room when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import moved

if TYPE_CHECKING:
    from . import frameworks
    from .cluster.model import Cluster, geometric
    from .errors import CollectiveMismatch, DeadlockError, LabError, StoppedRun, WorkerError
    from .exercises.contest.contest import contest
    from .exercises.contest.verify import verify
    from .exercises.standing import progress
    from .forecast.prediction import predict
    from .history.history import History
    from .learner.copies import fresh
    from .learner.near import within
    from .learner.predictions import ask
    from .node.node import Node
    from .processes.run import Run, run, start
    from .restarts.going import keep_going
    from .training.data import Digits, batches
    from .training.loss import bce_with_logits, cross_entropy
    from .training.model import accuracy, gradient, make_model, parameters, sgd_step
    from .training.parts import share_out
    from .training.shards import poisson_batches
    from .virtual.simulation import Simulation, simulate
    from .widgets import Slider, explore, vary

_ROOMS = {
    "cluster.model": ("Cluster", "geometric"),
    "training.data": ("batches",),
    "errors": ("CollectiveMismatch", "DeadlockError", "LabError", "StoppedRun", "WorkerError"),
    "exercises.contest.contest": ("contest",),
    "exercises.contest.verify": ("verify",),
    "exercises.standing": ("progress",),
    "forecast.prediction": ("predict",),
    "history.history": ("History",),
    "training.loss": ("bce_with_logits", "cross_entropy"),
    "training.model": ("accuracy", "gradient", "make_model", "parameters", "sgd_step"),
    "training.parts": ("share_out",),
    "training.shards": ("poisson_batches",),
    "node.node": ("Node",),
    "learner.copies": ("fresh",),
    "learner.near": ("within",),
    "learner.predictions": ("ask",),
    "processes.run": ("Run", "run", "start"),
    "restarts.going": ("keep_going",),
    "virtual.simulation": ("Simulation", "simulate"),
    "widgets": ("Slider", "explore", "vary"),
}
_HISTORIES = ("History", "run", "start", "simulate", "Simulation", "keep_going", "contest", "verify")
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
__all__ = ["frameworks", "load_digits", *_ROOM_OF]  # noqa: PLE0604  (names, from the table above)


moved.install()


def __getattr__(name: str) -> Any:
    if name == "frameworks":  # the whole room: `lab.frameworks` shows its table
        return importlib.import_module(".frameworks", __name__)
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'ddl_lab' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_ROOM_OF[name]}", __name__), name)
    if name in _HISTORIES:
        importlib.import_module(".plots", __name__)  # enters its figures into History
    if name == "Cluster":
        importlib.import_module(".forecast.calibration", __name__)  # enters its measure into Cluster
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_digits(classes: int = 2) -> Digits:
    """The 5,000 MNIST digits of ``data/``: ``.train`` (4,000), ``.test`` (1,000); shared, read-only.

    ``classes``: 2, ``y`` says odd or even; 10, ``y`` says which digit. Also starts the fork server, so that
    the first ``run`` finds it warm. See ``data.load_digits``.
    """
    from .processes.launch.client import SERVER
    from .processes.plan import is_rank
    from .training.course import check_torch
    from .training.data import load_digits as load

    check_torch()
    if not is_rank():  # under torchrun there is nothing to fork
        SERVER.warm_up()
    return load(classes)
