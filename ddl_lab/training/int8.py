"""A byte a weight: a linear layer as whole numbers from -127 to 127, and a scale for each row."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Int8(nn.Module):
    """A linear layer that keeps its weights as int8, and computes in float32, as lab 15 builds it.

    ``layer``: the layer that it stands for, with biases; a row of zeros stays zeros. It is no parameter of
    anything: what it has is buffers, so it can be saved and not trained.
    """

    codes: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()  # (outputs, inputs)
        scale = weight.abs().amax(dim=1) / 127  # (outputs,)
        codes = (weight / scale.clamp(min=1e-30)[:, None]).round().to(torch.int8)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        return x @ self.codes.float().T * self.scale + self.bias


def in_int8(model: nn.Sequential) -> nn.Sequential:
    """A copy of ``model`` with each linear layer in a byte a weight; other layers are shared."""
    return nn.Sequential(*(Int8(layer) if isinstance(layer, nn.Linear) else layer for layer in model))


def bytes_of(model: nn.Module) -> int:
    """Bytes of all that ``model`` would send or save: parameters and buffers, without a file's own."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())
