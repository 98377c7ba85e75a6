"""An explorer's real run: processes beside the simulation, hands on them, and none left behind."""

import asyncio
import re
import time

import psutil
import pytest
from fake_page import FakePage, in_a_loop, until

from ddl_lab.cluster.model import Cluster
from ddl_lab.errors import LabError
from ddl_lab.widgets import page as pages
from ddl_lab.widgets import real
from ddl_lab.widgets.explorer import Explorer
from ddl_lab.widgets.panel import Panel
from ddl_lab.widgets.real import _why


def worker(node, steps=400):
    for k in range(steps):
        with node.compute(samples=200):
            pass
        node.barrier()
        node.record(loss=1.0 / (1 + k))


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(pages, "_open", {})
    return FakePage(monkeypatch)


def shown(nodes=3, work=worker, args=(), cluster=None, metric="loss"):
    explorer = Explorer(Panel(work, nodes, 64, cluster or Cluster(), args, {}, False), metric)
    explorer.show()
    return explorer


def words(page):
    return page.words[-1].replace("\n", " ")


async def running(page, explorer):
    """Start, and wait for the first steps; the processes' ids."""
    explorer.real.start_button.click()
    await until(lambda: "goes on" in words(page))
    return explorer.real.run.pids


def gone(pids):
    return not any(psutil.pid_exists(pid) for pid in pids)


def test_it_streams_beside_the_simulated_curve_and_says_that_it_is_measured(page):
    async def act():
        explorer = shown(args=(30,))
        explorer.real.start_button.click()
        await until(lambda: "ended, 30 steps" in words(page))
        curves = explorer.board._figure.curves
        assert curves.labels == ["3 nodes", "3 processes,\nmeasured"]
        simulated, measured = (curves._artists[label]["steps"][0] for label in curves.labels)
        assert measured.get_linestyle() == "--" and simulated.get_linestyle() == "-"
        assert measured.get_ydata() == pytest.approx(simulated.get_ydata())
        assert "Measured on 3 processes over shm, paced clock: ended, 30 steps in" in words(page)
        assert re.search(r"\(simulated 0\.60\d s, ratio \d\.?\d*[):]", words(page))
        assert explorer.real.stop_button.disabled

    in_a_loop(act)


def stale(node):
    for k in range(30):
        with node.compute(samples=200):
            pass
        node.barrier()
        if node.rank == 0:
            node.record(loss=1.0 / (1 + k), staleness=k % 4)


def test_a_further_metric_of_the_real_run_has_its_curve_in_its_row(page):
    async def act():
        explorer = shown(work=stale, metric={"loss": 20, "staleness": 1})
        explorer.real.start_button.click()
        await until(lambda: "ended, 30 steps" in words(page))
        row = explorer.board._figure.more["staleness"]
        assert row.labels == ["3 nodes", "3 processes,\nmeasured"]
        measured = row._artists[row.labels[1]]["steps"][0]
        assert measured.get_linestyle() == "--"
        assert measured.get_ydata() == pytest.approx(explorer.real.run.history.metrics.staleness)
        assert len(measured.get_ydata()) == 30

    in_a_loop(act)


def test_the_timeline_is_that_of_the_real_run_as_long_as_its_setting_stands_in_front(page):
    async def act():
        explorer = shown(args=(10,))
        explorer.real.start_button.click()
        await until(lambda: "ended, 10 steps" in words(page))
        axis = explorer.board._figure.first_steps._ax
        assert "paced clock" in axis.get_xlabel()
        explorer.panel.nodes.widget.value = 8
        await until(lambda: words(page).startswith("8 simulated nodes"))
        assert "virtual clock" in axis.get_xlabel()
        assert "3 processes,\nmeasured" in explorer.board._figure.curves.labels

    in_a_loop(act)


def test_a_paced_run_has_its_own_speed_up(page):
    async def act():
        explorer = shown(args=(30,))
        explorer.real.start_button.click()
        await until(lambda: "ended, 30 steps" in words(page))
        history = explorer.real.run.history
        (_, simulated), (_, measured) = explorer.board._figure.ratios._dots.get_offsets()
        assert 2**measured == pytest.approx(3 * 30 * 200 / 10_000 / history.elapsed_s)
        assert measured <= simulated + 0.01  # no node is faster than its pace

    in_a_loop(act)


def test_at_the_machines_own_pace_the_speed_up_is_against_one_process(page):
    async def act():
        explorer = shown(nodes=2, work=busy)
        explorer.real.paced.value = False
        explorer.real.start_button.click()
        await until(lambda: "ended" in words(page))
        assert "Run one node for real too" in words(page)
        assert len(explorer.board._figure.ratios._dots.get_offsets()) == 1
        explorer.panel.nodes.widget.value = 1
        await until(lambda: words(page).startswith("1 simulated node"))
        explorer.real.start_button.click()
        await until(lambda: "Measured on 1 process over shm, wall clock: ended" in words(page))
        assert "Run one node" not in words(page)
        assert 0.0 in explorer.board._figure.ratios._dots.get_offsets()[:, 1]  # once its own pace

    in_a_loop(act)


def busy(node):
    for k in range(5):
        with node.compute(samples=100):
            time.sleep(0.01)
        node.barrier()
        node.record(loss=1.0 / (1 + k))


def test_more_processes_than_cores_say_so():
    assert _why(10_000).endswith(("cores", "core")) and "10000 processes share" in _why(10_000)
    assert _why(1) == ""


def test_what_hands_do_stands_on_the_timeline(page):
    async def act():
        explorer = shown()
        await running(page, explorer)
        timeline = explorer.board._figure.first_steps._ax
        explorer.real.node.value = 1
        explorer.real.slow.click()
        await until(lambda: [text.get_text() for text in timeline.texts] == ["slow x5"])
        assert "newest" in timeline.get_xlabel()
        explorer.real.kill.click()
        await until(lambda: "killed" in [text.get_text() for text in timeline.texts])
        explorer.close()

    in_a_loop(act)


def test_stop_ends_it_and_what_it_did_stays(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.real.stop_button.click()
        assert gone(pids), "when the click has been answered"
        await until(lambda: "paced clock: stopped," in words(page))
        assert "3 processes,\nmeasured" in explorer.board._figure.curves.labels

    in_a_loop(act)


def test_a_killed_node_ends_it_with_the_error_that_run_raises(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.real.node.value = 2
        explorer.real.kill.click()
        await until(lambda: "WorkerError: rank 2 was killed by SIGKILL" in words(page))
        assert "node 2: killed" in words(page) and gone(pids)
        assert explorer.real.kill.disabled

    in_a_loop(act)


def test_a_paused_node_holds_the_others_until_it_is_resumed(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.real.node.value = 1
        explorer.real.pause.click()
        await until(lambda: psutil.Process(pids[1]).status() == psutil.STATUS_STOPPED)
        assert explorer.real.pause.description == "resume"
        await until(lambda: "node 1: paused" in words(page))
        explorer.real.pause.click()
        await until(lambda: psutil.Process(pids[1]).status() != psutil.STATUS_STOPPED)
        assert explorer.real.pause.description == "pause"
        explorer.close()

    in_a_loop(act)


def test_a_slowed_node_computes_five_times_as_long_and_then_as_before(page):
    def spans_s(explorer):
        spans = explorer.real.run.history.spans
        spans = spans[(spans["rank"] == 0) & (spans["kind"] == "compute")]
        return (spans.end_s - spans.start_s).to_numpy()

    async def act():
        explorer = shown(nodes=2)
        await running(page, explorer)
        explorer.real.slow.click()
        assert explorer.real.slow.description == "full speed"
        await until(lambda: spans_s(explorer)[-1] > 0.09)
        await until(lambda: "node 0: slow" in words(page))
        explorer.real.slow.click()
        await until(lambda: spans_s(explorer)[-1] < 0.06)
        explorer.close()

    in_a_loop(act)


def test_reset_ends_it_and_nothing_of_it_stays(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.reset()
        assert gone(pids)
        await until(lambda: "Measured" not in words(page))
        await asyncio.sleep(0.2)  # a late word of the run would come now
        assert "Measured" not in words(page)
        assert explorer.board._figure.curves.labels == ["3 nodes"]
        assert explorer.real.hands.layout.display == "none"

    in_a_loop(act)


def test_closing_the_explorer_leaves_no_process(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.close()
        assert gone(pids)

    in_a_loop(act)


def test_a_second_start_ends_the_first(page):
    async def act():
        explorer = shown()
        pids = await running(page, explorer)
        explorer.real.start_button.click()
        assert gone(pids)
        await until(lambda: "goes on" in words(page))
        explorer.close()

    in_a_loop(act)


def test_many_nodes_are_cut_to_what_a_laptop_bears_with_a_word(page):
    async def act():
        explorer = shown(nodes=64, args=(5,))
        explorer.real.start_button.click()
        await until(lambda: "ended" in words(page))
        assert "Measured on 8 processes" in words(page)
        assert "(64 would be as many processes: 8 run.)" in words(page)

    in_a_loop(act)


def test_without_the_clusters_pace_it_runs_on_the_wall_clock(page):
    async def act():
        explorer = shown(args=(5,))
        explorer.real.paced.value = False
        explorer.real.start_button.click()
        await until(lambda: "ended" in words(page))
        assert "3 processes over shm, wall clock: ended, 5 steps" in words(page)

    in_a_loop(act)


@pytest.mark.parametrize(
    ("asked", "of_eight"),
    [
        (Cluster(slow={2: 2.0, 9: 3.0}, fails={12: 1e9}), {"slow": {2: 2.0}}),
        (
            Cluster(slow={15: 3.0}, stalls={15: (2, 0.01), 7: (1, 1.0)}),
            {"slow": {7: 3.0}, "stalls": {7: (2, 0.01)}},
        ),
        (Cluster(speeds=[1e4 + k for k in range(16)]), {"speeds": [1e4 + k for k in (*range(7), 15)]}),
    ],
)
def test_of_more_nodes_than_processes_the_first_and_the_last_run(page, monkeypatch, asked, of_eight):
    started = []
    monkeypatch.setattr(real, "start", lambda *_, **options: started.append(options["cluster"]) or refused())
    explorer = shown(cluster=asked, nodes=16, args=(5,))
    explorer.real.start_button.click()
    assert started == [Cluster(**of_eight)]
    assert "Run for real: LabError: no resources" in words(page), "what cannot start is told below the figure"
    assert explorer.real.run is None


def refused():
    raise LabError("no resources for 8 processes: too many open files.")


def test_with_a_slower_last_node_sixteen_nodes_run_for_real_as_eight(page):
    async def act():
        explorer = shown(nodes=16, args=(5,))
        explorer.panel.of_cluster[2].widget.value = 3.0
        explorer.real.start_button.click()
        assert "Run for real: starting." in words(page), "at once, though the figure was drawn just now"
        await until(lambda: "ended, 5 steps" in words(page))
        assert "(16 would be as many processes: 8 run, the last one as the last of 16.)" in words(page)

    in_a_loop(act)


def quick(node, steps=2000):
    for k in range(steps):
        node.record(loss=1.0 / (1 + k))
        time.sleep(0.0005)


def silent(node):
    time.sleep(1.0)
    node.record(loss=1.0)


@pytest.mark.parametrize("work", [quick, silent], ids=lambda work: work.__name__)
def test_the_page_is_changed_ten_times_a_second_at_most(page, work):
    async def act():
        explorer = shown(nodes=2, work=work)
        explorer.real.paced.value = False
        before, began = len(page.pictures) + len(page.words), time.monotonic()
        explorer.real.start_button.click()
        await until(lambda: "ended" in words(page))
        took_s = time.monotonic() - began
        updates = len(page.pictures) + len(page.words) - before
        assert updates <= 10 * took_s + 6, "the start and the end are told at once"

    in_a_loop(act)


def test_a_run_that_misses_its_pace_says_so_on_the_figure(page):
    def late(node):
        for k in range(20):
            with node.compute(seconds=0.001):
                time.sleep(0.02)
            node.record(loss=1.0 / (1 + k))

    async def act():
        explorer = shown(nodes=1, work=late)
        explorer.real.start_button.click()
        await until(lambda: "ended" in words(page))
        assert re.search(r"paced clock, which this machine missed: \d+ × the time", page.title)

    in_a_loop(act)
