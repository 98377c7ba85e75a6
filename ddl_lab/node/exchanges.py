"""A node's collectives about one rank, and those in which each has something else for every other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .arguments import check_op, rank_in_group, readable, writable, write_back
from .collectives import Call, Collectives, Later
from .parts import at_the_root, fit, one_a_rank, split_sizes, spread
from .sizes import Sizes


class Exchanges(Collectives):
    """The part of a node that gathers, scatters and exchanges. Parts may differ in size, and be empty."""

    def reduce(self, tensor: Tensor, dst: int, op: str = "sum", async_op: bool = False) -> Later:
        """Rank ``dst``'s ``tensor`` becomes the reduction over all ranks; the others' stay as they are."""
        self._enter("reduce", async_op)
        dst = rank_in_group(self, f"reduce(dst={dst!r})", dst)
        flat = (writable if dst == self.rank else readable)(self, "reduce", tensor)
        check_op("reduce", op, flat)

        def written() -> None:
            if dst == self.rank:
                write_back(tensor, flat)

        call = Call("reduce", op, dst, f"dst={dst}", told=tensor.shape)
        return self._collective(call, flat, flat, [tensor], written, async_op)

    def gather(
        self, tensor: Tensor, gather_list: Sequence[Tensor] | None = None, dst: int = 0,
        async_op: bool = False,
    ) -> Later:  # fmt: skip
        """Rank ``dst``'s ``gather_list`` becomes all ranks' ``tensor``, by rank; the others give no list."""
        self._enter("gather", async_op)
        dst = rank_in_group(self, f"gather(dst={dst!r})", dst)
        outputs = at_the_root(self, "gather", "gather_list", "dst", dst, gather_list)
        call = Call("gather", src=dst, root=f"dst={dst}")
        return self._exchange(call, {dst: tensor}, outputs, async_op)

    def scatter(
        self, tensor: Tensor, scatter_list: Sequence[Tensor] | None = None, src: int = 0,
        async_op: bool = False,
    ) -> Later:  # fmt: skip
        """Every rank's ``tensor`` becomes its own of rank ``src``'s ``scatter_list``; others give no list."""
        self._enter("scatter", async_op)
        src = rank_in_group(self, f"scatter(src={src!r})", src)
        inputs = at_the_root(self, "scatter", "scatter_list", "src", src, scatter_list)
        call = Call("scatter", src=src, root=f"src={src}")
        return self._exchange(call, inputs, {src: tensor}, async_op)

    def all_to_all(
        self, output_list: Sequence[Tensor], input_list: Sequence[Tensor], async_op: bool = False
    ) -> Later:
        """``output_list[r]`` becomes what rank r has for this one, in its ``input_list``."""
        self._enter("all_to_all", async_op)
        outputs = one_a_rank(self, "all_to_all", "output_list", output_list)
        inputs = one_a_rank(self, "all_to_all", "input_list", input_list)
        return self._exchange(Call("all_to_all"), inputs, outputs, async_op)

    def all_to_all_single(
        self, output: Tensor, input: Tensor, output_split_sizes: Sequence[int] | None = None,
        input_split_sizes: Sequence[int] | None = None, async_op: bool = False,
    ) -> Later:  # fmt: skip
        """As ``all_to_all``, of a tensor cut along its first dimension: evenly, or by numbers of rows."""
        name = "all_to_all_single"
        self._enter(name, async_op)
        own, full = readable(self, name, input), writable(self, name, output)
        gives = split_sizes(self, "input_split_sizes", input_split_sizes, input)
        takes = split_sizes(self, "output_split_sizes", output_split_sizes, output)
        sizes = Sizes(dict(enumerate(gives)), dict(enumerate(takes)))
        fit(self, name, [own, full], sizes)
        call = Call("all_to_all", shown=name)
        return self._collective(call, own, full, [input], lambda: write_back(output, full), async_op, sizes)

    def _exchange(
        self, call: Call, inputs: Mapping[int, Any], outputs: Mapping[int, Any], async_op: bool
    ) -> Later:
        """``inputs``: by the rank that they are for; ``outputs``: by the rank that they come from."""
        owns = {rank: readable(self, call.name, tensor) for rank, tensor in inputs.items()}
        flats = {rank: writable(self, call.name, tensor) for rank, tensor in outputs.items()}
        gives, takes = ({rank: flat.numel() for rank, flat in side.items()} for side in (owns, flats))
        parts, targets, sizes = list(owns.values()), list(flats.values()), Sizes(gives, takes)
        fit(self, call.name, [*parts, *targets], sizes)
        nothing = (parts or targets)[0].new_empty(0)
        own = parts[0] if len(parts) == 1 else torch.cat(parts or [nothing])
        full = targets[0] if len(targets) == 1 else nothing.new_empty(sum(takes.values()))

        def written() -> None:
            spread(full, list(outputs.values()), targets)

        return self._collective(call, own, full, list(inputs.values()), written, async_op, sizes)
