"""The mean in MPI."""

import numpy as np
from exercising import passes, refused

from ddl_lab.exercises import lab_17 as exercise


def two_buffers(MPI, ranks, gradient):
    total = np.empty_like(gradient)
    ranks.Allreduce(gradient, total)
    gradient[:] = total / ranks.size


def divided_first(MPI, ranks, gradient):
    gradient *= 1 / ranks.Get_size()
    ranks.Allreduce(MPI.IN_PLACE, gradient, MPI.SUM)
    return gradient


def with_a_type(MPI, ranks, gradient):
    mine = gradient.copy()
    ranks.Allreduce([mine, MPI.FLOAT], [gradient, MPI.FLOAT], op=MPI.SUM)
    np.divide(gradient, ranks.Get_size(), out=gradient)


test_any_style_passes = passes(exercise.mpi, two_buffers, divided_first, with_a_type)


def reducing(op, after):
    def answer(MPI, ranks, gradient):
        ranks.Allreduce(MPI.IN_PLACE, gradient, op=getattr(MPI, op))
        gradient[:] = after(gradient, ranks.Get_size())

    return answer


def returned(MPI, ranks, gradient):
    total = np.empty_like(gradient)
    ranks.Allreduce(gradient, total)
    return total / ranks.Get_size()


def pickled(MPI, ranks, gradient):
    gradient[:] = ranks.allreduce(gradient, op=MPI.SUM) / ranks.Get_size()


def aliased(MPI, ranks, gradient):
    ranks.Allreduce(gradient, gradient, op=MPI.SUM)
    gradient /= ranks.Get_size()


def into_doubles(MPI, ranks, gradient):
    total = np.zeros(len(gradient))
    ranks.Allreduce(gradient, total, op=MPI.SUM)
    gradient[:] = total / ranks.Get_size()


def in_place_of_the_other(MPI, ranks, gradient):
    ranks.Allreduce(gradient, MPI.IN_PLACE, op=MPI.SUM)
    gradient /= ranks.Get_size()


def to_one(MPI, ranks, gradient):
    total = np.empty_like(gradient)
    ranks.Reduce(gradient, total, op=MPI.SUM, root=0)
    if ranks.Get_rank() == 0:
        gradient[:] = total / ranks.Get_size()


def and_back(MPI, ranks, gradient):
    to_one(MPI, ranks, gradient)
    ranks.Bcast(gradient, root=0)


def only_divided(MPI, ranks, gradient):
    gradient /= ranks.Get_size()


test_a_mistake_is_named = refused(
    exercise.mpi,
    (reducing("SUM", lambda g, n: g), "is the sum of all ranks'"),
    (reducing("MAX", lambda g, n: g), "is the largest of each entry"),
    (reducing("SUM", lambda g, n: g / n**2), "divided by the number of ranks twice"),
    (reducing("PROD", lambda g, n: g), "MPI.SUM is what a mean needs"),
    (returned, "you return the mean, and in place was asked"),
    (pickled, "with a small a pickles the array"),
    (aliased, "buffers must not be aliased"),
    (into_doubles, "numbers of float32 and receive 50 of float64"),
    (
        lambda MPI, ranks, gradient: ranks.Allreduce(gradient, np.empty(1, np.float32)),
        "and receive 1 of float32",
    ),
    (in_place_of_the_other, "MPI.IN_PLACE stands first"),
    (to_one, "is still its own"),
    (and_back, "one Allreduce does it"),
    (only_divided, "add up all of them"),
)
