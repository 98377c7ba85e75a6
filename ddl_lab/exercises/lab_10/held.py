"""What a node of a mesh holds under 1F1B."""

from __future__ import annotations

from ..helpers import Answer, call
from ..machine import Exercise
from ..mistakes import check_number

CASES = (
    (17_179_869_184, (3, 6, 2), 16, 2.7e9),  # each likely mistake makes another number
    (17_179_869_184, (8, 1, 8), 16, 2.7e9),
    (1_000_000, (2, 8, 2), 4, 50_000.0),
    (234_305, (4, 1, 1), 2, 64_000.0),
)


def _held(parameters, shape, micro_batches, stage_bytes):  # type: ignore[no-untyped-def]
    _, pipeline, tensor = shape
    in_flight = min(pipeline, micro_batches)
    return 16 * parameters / (pipeline * tensor) + in_flight * stage_bytes


def _check_held(answer: Answer) -> str:
    for parameters, shape, micros, each in CASES:
        data, pipeline, tensor = shape
        weights, flight = 16 * parameters, min(pipeline, micros) * each
        check_number(
            call(answer, parameters, shape, micros, each), weights / (pipeline * tensor) + flight,
            f"{parameters:,} parameters on a mesh {shape}, {micros} micro-batches: the bytes of a node",
            ("you share the parameters out along data too: without ZeRO each replica has them whole",
             weights / (data * pipeline * tensor) + flight),
            ("all micro-batches are in flight as under GPipe; 1F1B keeps as many as there are stages",
             weights / (pipeline * tensor) + micros * each),
            ("one micro-batch is in flight; the first stage keeps as many as there are stages",
             weights / (pipeline * tensor) + each),
            (f"more are in flight than there are: {micros} micro-batches, {pipeline} stages",
             weights / (pipeline * tensor) + pipeline * each),
            ("you cut the parameters along pipeline only; a layer is cut along tensor too",
             weights / pipeline + flight),
            ("you cut the parameters along tensor only; a stage has its own blocks and no others",
             weights / tensor + flight),
            ("4 bytes are the parameter alone; its gradient and Adam's two moments take 12 more",
             weights / 4 / (pipeline * tensor) + flight),
            ("that is without the activations", weights / (pipeline * tensor)),
        )  # fmt: skip
    return "meshes with and without a pipeline, more and fewer micro-batches than stages"


held = Exercise(
    key="10.held",
    title="What a node holds",
    difficulty=1,
    minutes=5,
    reference=_held,
    check=_check_held,
    hints=(
        "Parameter, gradient and Adam's two moments: 16 bytes. Which of the three dimensions cut them up?",
        "Under 1F1B the first stage keeps a micro-batch for each stage, if there are so many.",
    ),
)
