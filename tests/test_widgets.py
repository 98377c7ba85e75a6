"""The explorer: what it shows is what was simulated, a move of its slider is heard at once."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from ddl_lab import widgets
from ddl_lab.cluster import Cluster, geometric
from ddl_lab.errors import WorkerError
from ddl_lab.virtual import simulate
from ddl_lab.widgets import Explorer, node_choices, speedup_of


def worker(node, steps=3):
    for k in range(steps):
        with node.compute(samples=100 / node.world_size):
            pass
        node.barrier()
        node.record(loss=1.0 / (1 + k) + node.rank)


def slow_worker(node):
    for _ in range(1000):
        time.sleep(0.005)
        node.record(loss=1.0)
        node.barrier()


class Page:
    """Stands in for the notebook page: what is displayed, in order, and each thing's later states."""

    def __init__(self, monkeypatch):
        self.items = []
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, thing, raw=False, display_id=None):
        states = [self.seen(thing)]
        self.items.append(states)
        return SimpleNamespace(update=lambda new, raw=False: states.append(self.seen(new)))

    def seen(self, thing):
        if isinstance(thing, dict):
            return thing["text/plain"]
        return (repr(thing), thing.png()) if hasattr(thing, "png") else type(thing).__name__

    @property
    def text(self):
        return self.items[2][-1]

    @property
    def picture(self):
        return self.items[1][-1]


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(widgets, "_open", {})
    return Page(monkeypatch)


def explorer(work=worker, nodes=4, most=64, cluster=None, args=(), metric="loss"):
    return Explorer(work, nodes, most, cluster or Cluster(), args, metric)


def line(shown, nodes):
    return shown._figure._artists[f"{nodes} node{'s' * (nodes > 1)}"]["steps"][0]


def test_the_first_figure_is_complete_when_the_cell_ends(page):
    shown = explorer()
    shown.show()
    assert [states[0] if isinstance(states[0], str) else states[0][0] for states in page.items[:2]] == [
        "SelectionSlider",
        "<figure: loss: 4 simulated nodes, virtual clock; line: mean over ranks, band: lowest to highest>",
    ]
    told = simulate(worker, 4).metrics.groupby("step").loss.mean()
    assert line(shown, 4).get_ydata() == pytest.approx(told.to_numpy())


def test_the_text_says_what_the_figure_shows_and_how_to_wake_the_slider(page):
    explorer().show()
    history = simulate(worker, 4)
    text, revive = page.text.rsplit("\n", 1)
    assert text.replace("\n", " ") == (
        f"4 simulated nodes, virtual clock: loss 1.83 after 3 steps and {history.elapsed_s:.3g} s; "
        f"{300 / 10_000 / history.elapsed_s:.3g} times the samples/s of one node."
    )
    assert revive == widgets.REVIVE


def test_explore_displays_and_returns_nothing(page):
    assert widgets.explore(worker, nodes=2, most=4, args=(5,)) is None
    assert "after 5 steps" in page.text


def test_the_slider_can_be_named_and_offers_powers_of_two():
    slider = explorer().slider
    assert slider.options == (1, 2, 4, 8, 16, 32, 64)
    assert (slider.value, slider.description) == (4, "nodes")
    assert node_choices(3, 24) == [1, 2, 3, 4, 8, 16, 24]
    assert node_choices(8, 4) == [1, 2, 4, 8]


def test_earlier_settings_stay_as_faint_curves(page):
    shown = explorer()
    shown.show()
    shown.slider.value = 8
    assert page.text.startswith("8 simulated nodes") and "Fainter: 4 nodes." in page.text
    assert line(shown, 4).get_alpha() < line(shown, 8).get_alpha() == 1
    assert line(shown, 4).get_color() != line(shown, 8).get_color()
    shown.slider.value = 2
    assert list(shown._figure._artists) == ["2 nodes", "4 nodes", "8 nodes"]  # as the legend has them


def test_a_setting_that_was_there_comes_back_without_simulating(page, monkeypatch):
    shown = explorer()
    shown.show()
    shown.slider.value = 1
    monkeypatch.setattr(widgets, "Simulation", None)
    shown.slider.value = 4
    assert page.text.startswith("4 simulated nodes")
    assert line(shown, 4).get_alpha() == 1


def in_a_loop(act):
    """Run ``act``, a coroutine, as a cell runs: inside the kernel's event loop."""
    return asyncio.run(act())


def test_after_a_move_the_curve_grows_while_the_loop_is_free(page):
    async def act():
        shown = explorer(lambda node: (worker if node.world_size == 1 else slow_worker)(node), nodes=1)
        shown.show()
        shown.slider.value = 2
        ticks, lengths = 0, set()
        while len(lengths) < 3:
            await asyncio.sleep(0.001)
            ticks += 1
            found = shown._figure._artists.get("2 nodes")
            lengths.add(len(found["steps"][0].get_xdata()) if found else 0)
        assert "2 nodes: simulating" in page.text
        assert ticks > 3
        shown.close()

    in_a_loop(act)


def test_a_newer_value_takes_the_place_of_the_older(page):
    async def act():
        shown = explorer(lambda node: (slow_worker if node.world_size == 8 else worker)(node))
        shown.show()
        shown.slider.value = 8
        await asyncio.sleep(0.1)
        older = shown._task
        start = time.monotonic()
        shown.slider.value = 2
        while not page.text.startswith("2 simulated"):
            await asyncio.sleep(0.005)
        assert time.monotonic() - start < 2
        assert older.cancelled() and 8 not in shown._curves
        assert "8 nodes" not in shown._figure._artists

    in_a_loop(act)


def test_moves_from_another_thread_are_followed_in_the_main_one(page, monkeypatch):
    async def act():
        shown = explorer()
        shown.show()
        go, threads = shown._go, []
        monkeypatch.setattr(shown, "_go", lambda n: (threads.append(threading.current_thread()), go(n)))
        await asyncio.to_thread(setattr, shown.slider, "value", 2)
        while not page.text.startswith("2 simulated"):
            await asyncio.sleep(0.005)
        assert threads == [threading.main_thread()]

    in_a_loop(act)


def test_an_error_after_a_move_stands_below_the_figure(page):
    def fragile(node):
        worker(node)
        if node.rank == 5:
            raise ValueError("rank five is tired")

    async def act():
        shown = explorer(fragile)
        shown.show()
        shown.slider.value = 8
        while "WorkerError" not in page.text:
            await asyncio.sleep(0.005)
        first, place, code = page.text.splitlines()[:3]
        assert first == "8 nodes: WorkerError: rank 5 raised ValueError: rank five is tired"
        assert "test_widgets.py" in place and code.strip() == 'raise ValueError("rank five is tired")'
        shown.slider.value = 2
        while not page.text.startswith("2 simulated"):
            await asyncio.sleep(0.005)

    in_a_loop(act)


def test_an_error_in_the_first_figure_is_the_cells_error(page):
    def broken(node):
        raise ValueError("no")

    shown = explorer(broken)
    with pytest.raises(WorkerError, match="rank 0 raised ValueError: no"):
        shown.show()
    assert shown.slider.comm is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"nodes": 0}, ValueError, "nodes must be.*got 0"),
        ({"most": "many"}, TypeError, "'many'"),
        ({"metric": "los"}, ValueError, "no metric 'los'.*it has loss"),
        ({"cluster": Cluster(speeds=[1.0, 2.0])}, ValueError, "2 entries for 4 nodes"),
        ({"cluster": 3}, TypeError, "cluster must be a Cluster"),
    ],
)
def test_bad_input_is_refused_in_words(page, options, error, words):
    with pytest.raises(error, match=words):
        widgets.explore(worker, **options)


def test_a_cell_that_runs_again_ends_its_older_explorer(page, monkeypatch):
    monkeypatch.setattr(widgets, "_this_cell", lambda: "cell-7")
    widgets.explore(worker)
    (older,) = widgets._open.values()
    widgets.explore(worker)
    (newer,) = widgets._open.values()
    assert newer is not older
    assert older.slider.comm is None and newer.slider.comm is not None


def test_a_simulation_leaves_the_random_state_of_the_notebook_alone(page):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    explorer(lambda node: (torch.rand(9), worker(node))).show()
    assert torch.equal(torch.rand(3), expected)


def test_speedup_counts_samples_and_takes_unequal_speeds_into_account():
    cluster = Cluster(speeds=geometric(0.5, first=1000.0), latency_s=0.0, slow={1: 2.0})

    def own_pace(node):
        with node.compute(samples=100):
            pass
        node.barrier()

    history = simulate(own_pace, 3, cluster=cluster)
    assert history.elapsed_s == pytest.approx(0.4)
    assert speedup_of(history, cluster) == pytest.approx((300 / 0.4) / 1000)
    assert speedup_of(simulate(lambda node: None, 2), Cluster()) == 0.0
