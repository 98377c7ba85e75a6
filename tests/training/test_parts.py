"""Parts of a data set, and how it is shared out: each row once, as skewed as was asked."""

import numpy as np
import pytest
import torch

import ddl_lab as lab
from ddl_lab.training.data import SharedTensor, load_digits
from ddl_lab.training.parts import Part, share_out
from ddl_lab.travel.capture import freeze, thaw

TRAIN = load_digits().train
TEN = load_digits(classes=10).train


class Plain:
    """Three columns of a learner's own, without labels."""

    def __init__(self, n):
        self.x, self.y = torch.arange(3.0 * n).reshape(n, 3), torch.arange(n)


def ink(part):
    """The sum of all pixels, exact in any order."""
    return (part.x * 255).round().long().sum().item()


def kinds(parts):
    """How many labels each part has."""
    return [len(torch.unique(part.labels)) for part in parts]


def test_a_part_is_the_rows_it_names():
    part = TRAIN.part([5, 2, 9])
    assert len(part) == 3
    for whole, taken in ((TRAIN.x, part.x), (TRAIN.y, part.y), (TRAIN.labels, part.labels)):
        assert torch.equal(whole[[5, 2, 9]], taken)


@pytest.mark.parametrize(
    ("rows", "meant"),
    [
        (slice(2, 8, 2), [2, 4, 6]),
        (range(3), [0, 1, 2]),
        (torch.tensor([7, 7]), [7, 7]),
        (np.array([1], dtype=np.int32), [1]),
        (torch.arange(4000) == 3999, [3999]),
    ],
)
def test_rows_are_a_slice_numbers_or_a_condition(rows, meant):
    assert TRAIN.part(rows).rows.tolist() == meant


def test_a_part_of_a_part_and_two_parts_together_are_parts_of_the_whole():
    part = TRAIN.part(TRAIN.labels < 5).part(slice(10))
    assert part.of is TRAIN and len(part) == 10 and (part.labels < 5).all()
    assert (part + TRAIN.part([0])).rows.tolist() == [*part.rows.tolist(), 0]
    with pytest.raises(ValueError, match="add parts of one data set"):
        part + load_digits().test.part([0])


def test_rows_that_follow_one_another_are_a_read_only_view_and_others_a_copy():
    view, copy = TRAIN.part(slice(100, 200)), TRAIN.part([100, 102])
    assert isinstance(view.x, SharedTensor)
    assert view.x.data_ptr() == TRAIN.x[100:].data_ptr()
    with pytest.raises(RuntimeError, match="read-only"):
        view.x.zero_()
    assert type(copy.x) is torch.Tensor
    copy.x.zero_()
    assert TRAIN.x[100].sum() > 0
    assert len(TRAIN.part([]).x) == 0


def test_no_pixels_travel_with_a_part():
    parts = share_out(TRAIN, 20, shards=2)

    def worker(node):
        return ink(parts[node.rank])

    assert sum(parts[0].x.nbytes for _ in parts) > 10_000_000
    assert len(freeze(worker)) < 60_000
    _, (back,) = thaw(freeze(worker, (parts,)))
    assert back[3].of.x.data_ptr() == TRAIN.x.data_ptr()
    assert lab.simulate(worker, 20).results == [ink(part) for part in parts]
    assert lab.run(worker, 2, progress=False).results == [ink(part) for part in parts[:2]]


@pytest.mark.parametrize(
    ("rows", "error", "told"),
    [
        ([4000], ValueError, "rows are from 0 to 3999, got 4000 to 4000"),
        ([-1, 2], ValueError, "got -1 to 2"),
        (torch.zeros(3), TypeError, r"got torch.float32 \(3,\)"),
        ([True, False], TypeError, r"for each of 4000 rows, got torch.bool \(2,\)"),
        (torch.zeros(2, 2).long(), TypeError, r"\(2, 2\)"),
    ],
)
def test_rows_that_there_are_not_are_refused(rows, error, told):
    with pytest.raises(error, match=told):
        TRAIN.part(rows)


# shared out

WAYS = [{}, {"shards": 2}, {"alpha": 0.1}, {"alpha": 1e-4}, {"alpha": 100}]


@pytest.mark.parametrize("parts", [1, 3, 20])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_row_goes_to_one_part_and_sizes_are_alike(way, parts):
    shared = share_out(TRAIN, parts, **way)
    assert sorted(torch.cat([part.rows for part in shared]).tolist()) == list(range(4000))
    sizes = [len(part) for part in shared]
    assert max(sizes) - min(sizes) <= way.get("shards", 1)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_seed_alone_decides(way):
    np.random.seed(3)
    once = [part.rows.tolist() for part in share_out(TRAIN, 4, **way)]
    np.random.seed(4)
    assert [part.rows.tolist() for part in share_out(TRAIN, 4, **way)] == once
    assert [part.rows.tolist() for part in share_out(TRAIN, 4, seed=1, **way)] != once


def test_by_chance_each_part_has_all_labels_about_equally():
    for part in share_out(TRAIN, 20):
        assert torch.bincount(part.labels, minlength=10).min() > 5


def test_of_two_shards_sorted_by_label_a_part_has_two_labels_at_most():
    found = kinds(share_out(TRAIN, 20, shards=2))
    assert set(found) <= {1, 2} and found.count(2) > 10


def test_shards_go_by_what_is_told():
    parts = share_out(TRAIN, 20, shards=1, by=TRAIN.labels % 2)
    odd = [set((part.labels % 2).tolist()) for part in parts]
    assert odd.count({0}) == odd.count({1}) == 10
    assert min(kinds(parts)) == 5  # but for that, by chance


def test_the_smaller_alpha_the_fewer_labels_a_part_has_and_a_large_one_is_chance():
    shares = [sum(kinds(share_out(TRAIN, 20, alpha=a))) / 20 for a in (1000, 1, 0.3, 0.1, 0.001)]
    assert shares[0] > 9.5 and shares == sorted(shares, reverse=True) and shares[-1] < 2


def test_a_dirichlet_part_has_the_whole_s_shares_in_the_mean():
    first = torch.stack([torch.bincount(share_out(TRAIN, 2, alpha=1.0, sizes=[100, 100], seed=s)[0].labels,
                                        minlength=10) for s in range(200)])  # fmt: skip
    mean, spread = first.float().mean(0), first.float().std(0)
    assert (mean - 10).abs().max() < 7
    theory = 100 * (0.1 * 0.9 / 2) ** 0.5  # of Dirichlet(alpha p): p (1 - p) / (alpha + 1)
    assert spread.mean() == pytest.approx(theory, rel=0.15)


@pytest.mark.parametrize("way", [{}, {"alpha": 0.1}], ids=str)
def test_sizes_may_be_unequal_and_need_not_be_all(way):
    parts = share_out(TRAIN, 3, sizes=[1, 500, 2000], **way)
    assert [len(part) for part in parts] == [1, 500, 2000]
    assert len(set(torch.cat([part.rows for part in parts]).tolist())) == 2501


def test_a_part_can_be_shared_out_again():
    small = TRAIN.part(TRAIN.labels >= 8)
    again = share_out(small, 4, shards=1)
    assert all(part.of is TRAIN and (part.labels >= 8).all() for part in again)
    assert sorted(torch.cat([part.rows for part in again]).tolist()) == small.rows.tolist()


def test_data_of_ones_own_is_shared_out_too():
    data = Plain(10)
    assert sum(len(part.x) for part in share_out(data, 3)) == 10
    assert [p.y.tolist() for p in share_out(data, 2, shards=1, by=data.y < 5)] in (
        [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]],
        [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]],
    )
    with pytest.raises(ValueError, match="no labels: give whole numbers"):
        share_out(data, 2, alpha=1.0)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"parts": 0}, "parts=0: it takes a whole number from 1 up"),
        ({"parts": 4001}, "4000 rows make no 4001 pieces"),
        ({"parts": 2000, "shards": 3}, "make no 6000 pieces"),
        ({"shards": 0}, "shards=0: it takes a whole number"),
        ({"alpha": 0}, "alpha=0: it takes a finite number above 0"),
        ({"alpha": 1, "shards": 2}, "shards go without alpha and without sizes"),
        ({"sizes": [2, 2], "shards": 2}, "shards go without alpha and without sizes"),
        ({"sizes": [5, 5, 5]}, "sizes has 3 entries, 15 in all, for 2 parts of 4000 rows"),
        ({"sizes": [4000, 1]}, "4001 in all"),
        ({"sizes": [10, 0]}, r"sizes\[1\]=0: it takes a whole number from 1 up, rows"),
        ({"alpha": 1, "by": torch.zeros(3)}, r"by=float32 of shape \(3,\): it takes whole numbers \(4000,\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(told, words):
    with pytest.raises(ValueError, match=words):
        share_out(TRAIN, **{"parts": 2, **told})


def test_a_part_of_ten_classes_trains_and_is_scored():
    part = share_out(TEN, 4, alpha=0.3)[0]
    model = lab.make_model(seed=0, outputs=10)
    for x, y in lab.batches(part, None, 20):
        loss = lab.cross_entropy(model(x), y)
        lab.sgd_step(model, lab.gradient(loss, model), lr=0.1)
    assert lab.accuracy(model, part) > 0.5


def test_a_part_shows_itself():
    assert repr(Part(TRAIN, torch.arange(3))) == "<part of <digits.train: 4000 samples>: 3 samples>"
