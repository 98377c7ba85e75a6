"""Lab 15: what it builds by hand is what the package has; its web server answers, and ends with its cell."""

import asyncio
import inspect
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from types import FunctionType

import pytest
import torch
from faulty import nothing_stays_behind, quietly
from reading import defined
from waiting import wait_until

import ddl_lab as lab
from ddl_lab.processes import run as running
from ddl_lab.strategies import search as package
from ddl_lab.strategies import serving as served

assert nothing_stays_behind  # a fixture: no process, descriptor or file of a run is left by a test
SERVER = ("serve-hand", "ask-hand", "by-hand")
SEARCH = ("halving", "parts", "work", "lead")
WEB = ("wide", "service", "service-made", "web-imports", "batcher", "app", "client", "crowd", "http-run")
DIGITS = lab.load_digits()
MODEL = lab.make_model(seed=1)
HAND = defined("15", "s15-setup", *(f"s15-{cell}" for cell in SERVER + SEARCH), model=MODEL)
HTTP = defined("15", "s15-setup", *(f"s15-{cell}" for cell in WEB), model=MODEL, shipped=MODEL)


@pytest.mark.parametrize(("most", "wait_s"), [(1, 0.0), (4, 0.0), (4, 2e-3), (64, 2e-3)])
def test_the_server_by_hand_is_the_packages_to_the_bit(most, wait_s):
    options = {"requests": 4, "most": most, "wait_s": wait_s, "forward_s": (4e-3, 4e-4)}
    ours = lab.simulate(partial(HAND["by_hand"], **options), 9)
    theirs = lab.simulate(partial(served.serving, **options), 9, args=(MODEL, DIGITS.test.x))
    assert all(torch.equal(a, b) for a, b in zip(ours.results, theirs.results, strict=True))
    assert ours.spans.equals(theirs.spans)


def test_the_search_by_hand_is_the_packages():
    train_on, check_on = HAND["train_on"], HAND["check_on"]

    def by_hand(node):
        plan = HAND["Halving"](trials=9, rungs=(2, 6))
        return HAND["lead"](node, plan) if node.rank == 0 else HAND["work"](node)

    plan = partial(package.AsynchronousHalving, 9, 2, 6)
    ours, theirs = lab.simulate(by_hand, 4), lab.simulate(package.search, 4, args=(plan, train_on, check_on))
    assert ours.results[0] == theirs.results[0]
    assert ours.elapsed_s == theirs.elapsed_s and ours.bytes_sent == theirs.bytes_sent


DECIDES = """
import torch

class Decides(torch.nn.Module):
    def forward(self, pixels):
        return pixels if pixels.max() > 200 else -pixels

torch.export.export(Decides(), (torch.arange(8.0),))
"""


def test_a_decision_that_depends_on_values_is_not_exported(tmp_path):
    """The lab says so; torch prints pages and leaves files, so no cell shows it."""
    alone = os.environ | {"TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", DECIDES], env=alone, capture_output=True, text=True)
    assert ended.returncode != 0
    assert re.search("(?i)data-?dependent|control flow", ended.stderr)


def test_rates_that_learn_little_are_dropped_after_ten_steps_but_for_one():
    def scores(plan):
        told = (plan, HAND["train_on"], HAND["check_on"])
        return lab.simulate(package.search, 5, args=told).results[0]

    ends, halved = scores(package.RandomSearch), scores(package.SuccessiveHalving)
    hopeless = [trial for trial in ends if not 0.01 < package.drawn(trial, 0, 90).lr < 2]
    assert hopeless and max(ends[trial][90] for trial in hopeless) < 0.8
    assert sum(len(halved[trial]) > 1 for trial in hopeless) == 1
    useful = sorted(scores[90] for trial, scores in ends.items() if trial not in hopeless)
    assert len(useful) > len(hopeless) and useful[0] > 0.75  # so most are not hopeless


@pytest.mark.parametrize("name", ["serve", "ask", "by_hand", "work", "lead"])
def test_what_the_lab_builds_is_at_most_25_lines(name):
    assert len(inspect.getsource(HAND[name]).splitlines()) <= 25


def test_the_wide_network_gives_the_answers_of_the_small_one():
    with torch.no_grad():
        wide = HTTP["widened"](MODEL, 3)(DIGITS.test.x)
        assert torch.allclose(wide, MODEL(DIGITS.test.x), atol=1e-4)


# over HTTP


def test_every_client_gets_its_answers_over_http_and_the_port_is_free_afterwards():
    history = quietly(HTTP["http"], 2, args=(MODEL, 4, 1e-3, 6, 3))
    sizes, told = history.results
    odd = torch.tensor([answer for _, answers in told for answer in answers])
    with torch.no_grad():
        assert torch.allclose(odd, HTTP["service"](HTTP["pixels"][:18]), atol=1e-5)
    assert sum(sizes) == 6 * 2 + 18 and max(sizes) <= 4  # two each to warm up
    assert refuses(history)


def web_with(crowd):
    """The lab's worker, with other clients."""
    worker = HTTP["http"]
    return FunctionType(worker.__code__, HTTP | {"crowd": crowd}, "http", worker.__defaults__)


def port_of(history):
    return int(history.metrics.port.dropna().iloc[0])


def refuses(history):
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port_of(history))) != 0


def test_a_request_of_another_size_is_refused_in_words_and_the_next_one_answered():
    async def ask(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /odd HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc")
        status = await reader.readline()
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        text = await reader.readexactly(length)
        writer.close()
        return status.decode(), text.decode()

    async def crowd(port, clients, requests):
        return await ask(port), await HTTP["client"](port, [bytes(784)])

    (status, text), (_, answers) = quietly(web_with(crowd), 2, args=(MODEL, 4, 0.0)).results[1]
    assert " 400 " in status and text == "784 bytes were asked, one a pixel; 3 came"
    assert len(answers) == 1


def test_the_server_ends_with_its_cell_also_when_it_is_interrupted(monkeypatch):
    begin, seen = running.Run._begin, []

    async def crowd(port, clients, requests):
        while True:
            await HTTP["client"](port, [bytes(784)])

    def begun(run):
        begin(run)
        threading.Thread(target=interrupt, args=(run,), daemon=True).start()
        return run

    def interrupt(run):
        wait_until(lambda: len(run.history.metrics) == 1)
        seen.append(refuses(run.history))
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt) as caught:
        patched.setattr(running.Run, "_begin", begun)
        quietly(web_with(crowd), 2, args=(MODEL, 4, 1e-3))
    assert seen == [False], "it served before"
    wait_until(lambda: refuses(caught.value.history))
