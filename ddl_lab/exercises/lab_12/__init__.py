"""Lab 12, federated learning: the server's mean, drift, controls, masks, noise, a picture in a gradient."""

from .served import served
from .drift import drift
from .controls import controls
from .masks import masks
from .noise import noise
from .picture import picture

__all__ = ["served", "drift", "controls", "masks", "noise", "picture"]
