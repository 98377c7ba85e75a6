"""The explorer: what it shows is what was simulated, and a move of its controls is heard at once."""

import asyncio
import functools
import math
import threading
import time

import pytest
import torch
from fake_page import FakePage, in_a_loop, until

import ddl_lab as lab
from ddl_lab import widgets
from ddl_lab.cluster.model import Cluster, geometric
from ddl_lab.counted import counted
from ddl_lab.errors import WorkerError
from ddl_lab.forecast.calibration import MeasuredCluster
from ddl_lab.virtual.simulation import Simulation, simulate
from ddl_lab.widgets import explorer as explorers
from ddl_lab.widgets import page as pages
from ddl_lab.widgets import settings
from ddl_lab.widgets.board import FAINT, speedup_of
from ddl_lab.widgets.explorer import Explorer
from ddl_lab.widgets.page import REVIVE
from ddl_lab.widgets.panel import Panel, node_choices


def worker(node, steps=3, rate=1.0):
    for k in range(steps):
        with node.compute(samples=100 / node.world_size):
            pass
        node.barrier()
        node.record(loss=rate / (1 + k) + node.rank)


def slow_worker(node):
    """It goes on for longer than any test looks at it."""
    for _ in range(100_000):
        time.sleep(0.005)
        node.record(loss=1.0)
        node.barrier()


def only_slow_with(nodes):
    def work(node):
        (slow_worker if node.world_size == nodes else worker)(node)

    return work


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(pages, "_open", {})
    return FakePage(monkeypatch)


def shown(work=worker, nodes=4, most=64, cluster=None, args=(), metric="loss", prediction=None, **controls):
    panel = Panel(work, nodes, most, cluster or Cluster(), args, controls, False)
    explorer = Explorer(panel, metric, prediction)
    explorer.show()
    return explorer


def control(explorer, name):
    (found,) = [c for c in explorer.panel.all if c.name == name]
    return found


def move(explorer, **values):
    for name, value in values.items():
        control(explorer, name).widget.value = value


def line(explorer, label):
    return explorer.board._figure.curves._artists[label]["steps"][0]


def lines(explorer):
    return explorer.board._figure.curves.labels


def test_the_first_figure_is_complete_when_the_cell_ends(page):
    explorer = shown()
    assert page.title == (
        "<figure: loss: 4 simulated nodes, virtual clock; line: mean over ranks, band: lowest to highest>"
    )
    told = simulate(worker, 4).metrics.groupby("step").loss.mean()
    assert line(explorer, "4 nodes").get_ydata() == pytest.approx(told.to_numpy())


def test_the_text_says_what_the_figure_shows_how_to_run_it_and_how_to_wake_the_controls(page):
    shown()
    history = simulate(worker, 4)
    *sentence, code, revive = page.words[-1].splitlines()
    assert " ".join(sentence) == (
        f"4 simulated nodes, virtual clock: loss 1.83 after 3 steps and {history.elapsed_s:.3g} s; "
        f"{300 / 10_000 / history.elapsed_s:.3g} times the samples/s of one node."
    )
    assert code == "lab.simulate(worker, nodes=4)" and revive == REVIVE


def serving(node):
    for step in range(4):
        with node.compute(samples=10):
            pass
        if node.rank == 0:
            node.record(loss=step, staleness=10 * step)


def test_several_metrics_have_a_row_each_and_each_its_own_smoothing(page):
    explorer = shown(serving, nodes=2, metric={"loss": 2, "staleness": 1})
    assert page.title == "<figure: loss: 2 simulated nodes, virtual clock; mean of 2 steps>"
    assert line(explorer, "2 nodes").get_ydata().tolist() == [0.0, 0.5, 1.5, 2.5]
    more = explorer.board._figure.more["staleness"]._artists["2 nodes"]["steps"][0]
    assert more.get_ydata().tolist() == [0.0, 10.0, 20.0, 30.0]


def test_explore_displays_and_returns_nothing(page):
    assert widgets.explore(worker, nodes=2, most=4, args=(5,)) is None
    assert "after 5 steps" in page.text


def test_the_node_slider_can_be_named_and_offers_powers_of_two():
    nodes = Panel(worker, 4, 64, Cluster(), (), {}, False).nodes.widget
    assert nodes.options == (1, 2, 4, 8, 16, 32, 64)
    assert (nodes.value, nodes.description) == (4, "nodes")
    assert node_choices(3, 24) == [1, 2, 3, 4, 8, 16, 24]
    assert node_choices(8, 4) == [1, 2, 4, 8]


def test_node_counts_may_be_listed_or_a_slider():
    listed = Panel(worker, [6, 2, 12], 64, Cluster(), (), {}, False).nodes
    assert listed.widget.options == (2, 6, 12) and listed.value == 6
    slid = Panel(worker, lab.Slider(1, 9, 3), 64, Cluster(), (), {}, False).nodes
    assert (slid.widget.min, slid.widget.max, slid.value) == (1, 9, 3)


# arguments of the worker, and the cluster


def test_a_control_moves_an_argument_of_the_worker(page):
    explorer = shown(rate=lab.Slider(0.5, 2.0, 1.0, step=0.5), steps=[3, 5])
    move(explorer, rate=2.0)
    assert "4 simulated nodes, rate 2, virtual clock: loss 2.17 after 3 steps" in page.text.replace("\n", " ")
    move(explorer, steps=1)
    assert lines(explorer) == ["4 nodes", "4 nodes, rate 2", "4 nodes, rate 2, steps 5"]
    assert line(explorer, "4 nodes, rate 2, steps 5").get_ydata()[-1] == pytest.approx(2 / 5 + 1.5)


def test_the_line_of_code_does_what_the_figure_shows(page):
    cluster = Cluster(speeds=geometric(0.9), latency_s=1e-4)
    explorer = shown(cluster=cluster, rate=lab.Slider(0.5, 2.0, 1.0, step=0.5))
    move(explorer, nodes=8, rate=1.5, latency_us=250.0, slowest=3.0)
    code = page.words[-1].splitlines()[-2]
    assert code == (
        "lab.simulate(worker, nodes=8, cluster=lab.Cluster(speeds=lab.geometric(0.9), "
        "latency_s=0.00025, slow={7: 3.0}), args=(3, 1.5))"
    )
    again = eval(code, {"lab": lab, "worker": worker})
    assert f"and {again.elapsed_s:.3g} s" in page.text


def test_the_line_of_code_runs_whatever_it_has_to_name(page):
    """What has no form of its own goes by the name that it has where the worker was made."""
    there = {"lab": lab, "data": torch.arange(4.0), "half": functools.partial(worker, rate=0.5)}
    exec("def made(node, bound, data, sizes): node.record(loss=min(bound, data.sum()) + sum(sizes))", there)
    explorer = shown(there["made"], args=(math.inf, there["data"], [0.5, 2]))
    code = page.words[-1].splitlines()[-2]
    assert code == "lab.simulate(made, nodes=4, args=(float('inf'), data, [0.5, 2]))"
    assert eval(code, there).metrics.loss.iloc[-1] == line(explorer, "4 nodes").get_ydata()[-1] == 8.5
    assert settings._name(there["half"], there) == "half"


def test_a_measured_cluster_is_explored_as_any_other(page):
    measured = MeasuredCluster(latency_s=2e-5, speeds=5e4, cores=2, spread={"speeds": (4.9e4, 5.1e4)})
    explorer = shown(worker, cluster=measured)
    code = page.words[-1].splitlines()[-2]
    again = eval(code, {"lab": lab, "worker": worker})
    assert again.elapsed_s == explorer.board._done["4 nodes"][1].elapsed_s


def test_choices_that_read_alike_keep_their_own_curves(page):
    def records(node, value):
        node.record(loss=value())

    async def act():
        explorer = shown(records, value=[lambda: 0.2, lambda: 0.4, lambda: 0.6])
        for place, loss in ((1, 0.4), (2, 0.6), (0, 0.2)):
            control(explorer, "value").widget.value = place
            await until(lambda loss=loss: f"loss {loss}" in page.text)
        assert len(explorer.board._done) == 3

    in_a_loop(act)


def test_an_unmoved_cluster_is_the_one_that_was_given():
    given = Cluster(latency_s=1.2345678e-5, bandwidth_bytes_per_s=123456789.0, slow={0: 2.0})
    panel = Panel(worker, 4, 64, given, (), {}, True)
    assert panel.setting().cluster is given
    assert Panel(worker, 4, 64, Cluster(latency_s=0), (), {}, True).setting().cluster.latency_s == 0


def test_the_clusters_controls_come_at_the_press_of_a_button(page):
    panel = shown().panel
    assert panel.cluster_rows.layout.display == "none"
    panel.toggle.value = True
    assert panel.cluster_rows.layout.display is None
    assert [c.widget.description for c in panel.of_cluster] == [
        "latency (µs)", "bandwidth (MB/s)", "last node (× slower)",
    ]  # fmt: skip


def test_reset_goes_back_to_the_start_with_nothing_beside_it(page):
    explorer = shown(rate=lab.Slider(0.5, 2.0, 1.0, step=0.5))
    first = page.words[-1]
    move(explorer, rate=2.0, nodes=8)
    explorer.reset()
    assert page.words[-1] == first and lines(explorer) == ["4 nodes"]


# earlier settings


def test_earlier_settings_stay_as_faint_curves(page):
    explorer = shown()
    move(explorer, nodes=8)
    assert page.text.startswith("8 simulated nodes") and "Fainter: 4 nodes." in page.text.replace("\n", " ")
    assert line(explorer, "4 nodes").get_alpha() < line(explorer, "8 nodes").get_alpha() == 1
    assert line(explorer, "4 nodes").get_color() != line(explorer, "8 nodes").get_color()
    move(explorer, nodes=2)
    assert lines(explorer) == ["2 nodes", "4 nodes", "8 nodes"]  # as the legend has them


def test_only_the_newest_earlier_settings_stay_in_sight_and_colours_never_repeat(page):
    explorer = shown(rate=lab.Slider(0.5, 20.0, 1.0, step=0.5))
    for k in range(2, 12):
        move(explorer, rate=k / 2 + 1)
        colours = [line(explorer, label).get_color() for label in lines(explorer)]
        assert len(set(colours)) == len(colours)
    assert len(lines(explorer)) == FAINT + 1
    for rate in (1.0, 3.0, 2.0):  # back to some that were out of sight
        move(explorer, rate=rate)
        assert len({line(explorer, label).get_color() for label in lines(explorer)}) == FAINT + 1


def test_a_setting_that_was_there_comes_back_without_simulating(page, monkeypatch):
    explorer = shown()
    move(explorer, nodes=1)
    monkeypatch.setattr(explorers, "Simulation", None)
    move(explorer, nodes=4)
    assert page.text.startswith("4 simulated nodes")
    assert line(explorer, "4 nodes").get_alpha() == 1


# while a simulation goes on


def test_after_a_move_the_curve_grows_while_the_loop_is_free(page):
    async def act():
        explorer = shown(only_slow_with(2), nodes=1)
        move(explorer, nodes=2)
        ticks, lengths = 0, set()
        while len(lengths) < 3:
            await asyncio.sleep(0.001)
            ticks += 1
            if "2 nodes" in lines(explorer):
                lengths.add(len(line(explorer, "2 nodes").get_xdata()))
        assert "2 nodes: simulating" in page.text
        assert ticks > 3
        explorer.close()

    in_a_loop(act)


@pytest.mark.parametrize("slice_s", [explorers.SLICE_S, 0.0])
def test_the_first_points_are_painted_in_the_slice_that_brings_them(slice_s, page, monkeypatch):
    """Time in slices, not in seconds: no redraw is put off, and none comes before there is a point.

    On a busy machine slices end before it, and the words that nothing is there yet may not delay it.
    """
    seen = []
    monkeypatch.setattr(explorers, "SLICE_S", slice_s)

    class Counted(Simulation):
        def advance(self, budget_s=None):
            before = max(recorder.steps for recorder in self.history.recorders)
            done = super().advance(0.0)
            after = max(recorder.steps for recorder in self.history.recorders)
            seen.append((before, after, len(page.pictures)))
            return done

    async def act():
        explorer = shown()
        monkeypatch.setattr(explorers, "Simulation", Counted)
        move(explorer, nodes=64)
        pictures = len(page.pictures)
        await until(lambda: len(page.pictures) > pictures)
        first = next(k for k, (before, after, _) in enumerate(seen) if before == 0 < after)
        assert len(seen) == first + 1
        assert all(painted == pictures for *_, painted in seen)
        explorer.close()

    in_a_loop(act)


def test_before_the_first_point_the_text_says_what_is_under_way(page, monkeypatch):
    async def act():
        explorer = shown()
        monkeypatch.setattr(explorers, "SLICE_S", 0.0)
        move(explorer, nodes=8)
        await until(lambda: page.text.startswith("8 simulated"))
        assert any(words.startswith("8 nodes: simulating, no step so far.") for words in page.words)

    in_a_loop(act)


def test_the_picture_stands_above_its_words_even_where_the_first_point_is_long_in_coming(page, monkeypatch):
    shown_first = []
    monkeypatch.setattr(
        page, "update", lambda bundle, metadata=None, raw=True: shown_first.append(set(bundle))
    )
    monkeypatch.setattr(explorers, "SLICE_S", 0.0)
    shown(nodes=8)
    assert shown_first[0] == {"image/png", "text/plain"}


def test_a_newer_value_takes_the_place_of_the_older(page):
    async def act():
        explorer = shown(only_slow_with(8))
        move(explorer, nodes=8)
        await until(lambda: "8 nodes" in lines(explorer))
        older = explorer._newest._task
        move(explorer, nodes=2)
        await until(lambda: page.text.startswith("2 simulated"))
        assert older.cancelled()
        assert lines(explorer) == ["2 nodes", "4 nodes"]

    in_a_loop(act)


def test_of_many_moves_only_the_last_is_simulated(page, monkeypatch):
    begun = []

    class Noted(Simulation):
        def __init__(self, work, nodes, *rest):
            begun.append(nodes)
            super().__init__(work, nodes, *rest)

    async def act():
        explorer = shown()
        monkeypatch.setattr(explorers, "Simulation", Noted)
        for nodes in (8, 16, 32, 64, 2, 1, 16):
            move(explorer, nodes=nodes)
        await until(lambda: page.text.startswith("16 simulated"))
        await asyncio.sleep(0.05)
        assert begun == [16]

    in_a_loop(act)


def test_moves_from_another_thread_are_followed_in_the_main_one(page, monkeypatch):
    async def act():
        explorer = shown()
        slices, threads = explorer._slices, []
        monkeypatch.setattr(
            explorer,
            "_slices",
            lambda setting: (threads.append(threading.current_thread()), slices(setting))[1],
        )
        await asyncio.to_thread(move, explorer, nodes=2)
        await until(lambda: page.text.startswith("2 simulated"))
        assert threads == [threading.main_thread()]

    in_a_loop(act)


# errors


def test_an_error_after_a_move_stands_below_the_figure(page):
    def fragile(node):
        worker(node)
        if node.rank == 5:
            raise ValueError("rank five is tired")

    async def act():
        explorer = shown(fragile)
        move(explorer, nodes=8)
        await until(lambda: "WorkerError" in page.text)
        first, place, code = page.text.splitlines()[:3]
        assert first == "8 nodes: WorkerError: rank 5 raised ValueError: rank five is tired"
        assert "test_explorer.py" in place and code.startswith(" " * 2)
        move(explorer, nodes=2)
        await until(lambda: page.text.startswith("2 simulated"))

    in_a_loop(act)


def test_a_cluster_that_does_not_fit_after_a_move_is_refused_below_the_figure(page):
    explorer = shown(cluster=Cluster(speeds=[1e4] * 4))
    move(explorer, nodes=8)
    assert page.text.startswith("8 nodes: ValueError: speeds has 4 entries for 8 nodes")


def test_an_error_in_the_first_figure_is_the_cells_error(page):
    def broken(node):
        raise ValueError("no")

    panel = Panel(broken, 4, 64, Cluster(), (), {}, False)
    with pytest.raises(WorkerError, match="rank 0 raised ValueError: no"):
        Explorer(panel, "loss").show()
    assert panel.nodes.widget.comm is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"nodes": 0}, ValueError, "nodes must be.*got 0"),
        ({"nodes": []}, ValueError, "needs one entry"),
        ({"most": "many"}, TypeError, "'many'"),
        ({"metric": "los"}, ValueError, "no metric 'los'.*it has loss"),
        ({"metric": {"loss": 2, "los": 1}}, ValueError, "no metric 'los'.*it has loss"),
        ({"metric": {"loss": 0}}, ValueError, "give a name, or steps by name"),
        ({"metric": {}}, ValueError, "give a name, or steps by name"),
        ({"cluster": Cluster(speeds=[1.0, 2.0])}, ValueError, "2 entries for 4 nodes"),
        ({"cluster": 3}, TypeError, "cluster must be a Cluster"),
        ({"lr": [1, 2]}, TypeError, r"no argument 'lr' after its node.*it has steps, rate"),
        ({"steps": [1, 2], "args": (3,)}, TypeError, "args gives 'steps' already"),
        ({"rate": 0.1}, TypeError, r"explore\(rate=0.1\): a control is lab.Slider"),
    ],
)
def test_bad_input_is_refused_in_words(page, options, error, words):
    with pytest.raises(error, match=words):
        widgets.explore(worker, **options)


def test_what_is_no_worker_is_refused_in_words(page):
    with pytest.raises(TypeError, match="worker must be a function of a node"):
        widgets.explore(3, steps=[1])


def test_a_cell_that_runs_again_ends_its_older_explorer(page, monkeypatch):
    run = iter(["one", "two"])
    monkeypatch.setattr(pages, "_this_cell", lambda: ("cell-7", next(run)))
    widgets.explore(worker)
    ((_, (older,)),) = pages._open.values()
    widgets.explore(worker)
    ((_, (newer,)),) = pages._open.values()
    assert newer is not older
    assert older.box.comm is None and newer.box.comm is not None
    assert older.panel.nodes.widget.comm is None


def test_the_controls_wait_for_a_prediction(page):
    class Guess:
        ready = False

        def when_ready(self, callback):
            self.unlock = callback

    explorer = shown(prediction=Guess())
    locked = [*explorer.panel.all, explorer.real.start_button]
    assert all(getattr(thing, "widget", thing).disabled for thing in locked)
    explorer.lock.unlock()
    assert not any(getattr(thing, "widget", thing).disabled for thing in locked)


def test_a_simulation_leaves_the_random_state_of_the_notebook_alone(page):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    shown(lambda node: (torch.rand(9), worker(node)))
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

    def by_seconds(node):
        with node.compute(seconds=0.1):
            pass

    assert speedup_of(simulate(by_seconds, 3), Cluster()) == pytest.approx(3.0)


def mean_rule(a, b):
    return (a + b) / 2


def weighing(node, rule=mean_rule):
    for _ in range(3):
        with node.compute(samples=10):
            pass
        node.record(loss=rule(1.0, 3.0))


def test_names_to_choose_from_give_the_worker_what_they_stand_for(page):
    explorer = shown(weighing, nodes=1, rule={"mean": mean_rule, "largest": max})
    chooser = control(explorer, "rule").widget
    assert [name for name, _ in chooser.options] == ["mean", "largest"]
    assert line(explorer, "1 node").get_ydata().tolist() == [2.0] * 3
    chooser.value = 1
    assert line(explorer, "1 node, rule largest").get_ydata().tolist() == [3.0] * 3
    assert page.words[-1].splitlines()[-2].endswith("args=(max,))")


@pytest.mark.parametrize(("rule", "error"), [({}, ValueError), ({1: max}, TypeError), ({"": max}, TypeError)])
def test_names_to_choose_from_are_words(page, rule, error):
    with pytest.raises(error, match="to choose from"):
        shown(weighing, rule=rule)


@pytest.mark.parametrize(
    ("nodes", "most", "other"),
    [(4, 64, "2 nodes"), (2, 64, "4 nodes"), (1, 64, "2 nodes"), (2, 2, "1 node"), ([3, 6], 64, "6 nodes")],
)
def test_the_first_picture_has_two_numbers_of_nodes_the_start_in_front(page, nodes, most, other):
    widgets.explore(worker, nodes=nodes, most=most)
    (_, front), (word, _) = ("", page.title), (page.text.split("Fainter: ")[1], "")
    assert word.startswith(f"{other}.")
    start = nodes[0] if isinstance(nodes, list) else nodes
    assert f"loss: {counted(start, 'simulated node')}," in front


def test_one_number_of_nodes_stands_alone(page):
    widgets.explore(worker, nodes=[4])
    assert "Fainter" not in page.text


def test_a_worker_that_can_not_do_with_other_nodes_says_so_below(page):
    def four(node):
        if node.world_size != 4:
            raise ValueError("four, please")
        worker(node)

    widgets.explore(four, nodes=4)
    assert "4 simulated nodes" in page.title
    assert "2 nodes: WorkerError" in " ".join(page.text.split()) and "four, please" in page.text
