"""Lab 09: attention by heads, rows shared out and bf16 by hand are what one process computes."""

import pytest
import torch
from reading import defined
from torch import nn

import ddl_lab as lab

DIGITS = lab.load_digits()
PAIR = ("s09-setup", "s09-pair")


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_attention_by_heads_is_torch_s_own_on_any_number_of_nodes(nodes):
    attend = defined("09", *PAIR, "s09-attention")["attend"]
    history = lab.simulate(attend, nodes)
    x = DIGITS.train.x[:16].view(16, 28, 28).clone().requires_grad_()
    whole = torch.randn(4, 28, 28, generator=torch.Generator().manual_seed(0)) / 28**0.5
    theirs = nn.MultiheadAttention(28, 4, bias=False, batch_first=True)
    theirs.load_state_dict({"in_proj_weight": whole[:3].reshape(84, 28), "out_proj.weight": whole[3]})
    y = theirs(x, x, x, need_weights=False)[0]
    (d_x,) = torch.autograd.grad(y, x, torch.cos(y))
    for ours, right in zip(history.results[-1], (y, d_x), strict=True):
        assert (ours - right).norm() < 1e-5 * right.norm()
    assert set(history.bytes_sent) == {int(2 * 2 * (nodes - 1) / nodes * 4 * 16 * 28 * 28)}


@pytest.mark.parametrize("nodes", [2, 4])
def test_rows_shared_out_between_blocks_give_the_same_for_the_same_bytes(nodes):
    two_blocks = defined("09", *PAIR, "s09-sequence", "s09-sequence-worker")["two_blocks"]
    plain, shared = (lab.simulate(two_blocks, nodes, args=(by_rows,)) for by_rows in (False, True))
    (alone,) = lab.simulate(two_blocks, 1, args=(False,)).results
    for history in (plain, shared):
        assert all((ours - alone).norm() < 1e-6 * alone.norm() for ours in history.results)
    assert shared.bytes_sent == plain.bytes_sent
    assert shared.metrics["kept"].tolist() == [kept / nodes for kept in plain.metrics["kept"]]


def test_a_gradient_in_float32_by_hand_is_that_of_the_model():
    slope_at = defined("09", "s09-setup", "s09-mixed")["slope_at"]
    model, x, y = lab.make_model(seed=0), DIGITS.train.x[:32], DIGITS.train.y[:32]
    theirs = lab.gradient(lab.bce_with_logits(model(x), y), model)
    ours = slope_at(lab.parameters(model), x, y)
    assert (ours - theirs).norm() < 1e-6 * theirs.norm()
    low = slope_at(lab.parameters(model).bfloat16(), x, y)
    assert low.dtype == torch.bfloat16 and (low.float() - theirs).norm() < 0.05 * theirs.norm()


def test_a_sharded_master_trains_as_float32_does_and_sends_half():
    stage_2 = defined("09", "s09-setup", "s09-adam", "s09-stage-2")["stage_2"]
    second = lab.simulate(stage_2, 4)
    cells = ("s09-setup", "s09-adam", "s09-mixed", "s09-mixed-stage")
    low = lab.simulate(defined("09", *cells, second=second, print=lambda *told: None)["mixed"], 4)
    assert [2 * sent for sent in low.bytes_sent] == second.bytes_sent
    start, right = lab.parameters(lab.make_model(seed=0)), second.results[0]
    for weights in low.results:
        assert torch.equal(weights, low.results[0])
        assert (weights.float() - right).norm() < 0.2 * (right - start).norm()
