"""Predictions: asked for before a result, kept, set beside it; nothing of it where nobody sits."""

import json
import os
from types import SimpleNamespace

import ipywidgets
import pytest
import torch
from kernels import Kernel

import ddl_lab as lab
from ddl_lab.learner import predictions
from ddl_lab.learner.file import LearnerFile

QUESTION = "Which share of its time does the fastest node wait?"


class Page:
    """Stands in for a notebook page: the states of each thing displayed, as text, in order."""

    def __init__(self, monkeypatch):
        self.items = []
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, thing, display_id=None):
        states = [thing]
        self.items.append(states)
        return SimpleNamespace(update=states.append) if display_id else None

    @property
    def texts(self):
        return [repr(states[-1]) for states in self.items if not isinstance(states[-1], ipywidgets.Widget)]

    @property
    def rows(self):
        return [states[-1] for states in self.items if isinstance(states[-1], ipywidgets.Widget)]


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(predictions, "_asked", {})
    return Page(monkeypatch)


@pytest.fixture
def desk(page, monkeypatch, tmp_path):
    """Somebody sits at a page; the folder of the learner's file."""
    monkeypatch.setattr(predictions, "attended", lambda: True)
    monkeypatch.setattr(predictions, "current", lambda: LearnerFile(tmp_path))
    monkeypatch.setattr(predictions, "today", lambda: "2026-11-30")
    return tmp_path


def kept(folder):
    return json.loads((folder / "learner.json").read_text())["predictions"]


def test_what_is_typed_is_kept_with_its_unit_its_question_and_the_day(page, desk):
    guess = lab.ask("03.wait", QUESTION, unit="%")
    assert page.texts[0] == f"Your prediction. {QUESTION}" and "Nothing is written yet" in page.texts[1]
    assert not guess.ready and guess.value is None
    (row,) = page.rows
    field, unit = row.children
    assert unit.value == "%" and field.description == "I predict" and not field.continuous_update
    field.value = " 12 % "
    assert guess.ready and guess.value == 12
    assert field.value == "12" and page.texts[1] == "Written: 12 %"
    about = {"unit": "%", "question": QUESTION, "on": "2026-11-30"}
    assert kept(desk) == {"03.wait": {"value": 12.0, **about}}


def test_a_prediction_can_be_changed_and_what_is_no_number_is_told(page, desk):
    guess = lab.ask("03.wait", QUESTION)
    field = page.rows[0].children[0]
    field.value = "about a half"
    assert "is no number here" in page.texts[1] and not guess.ready
    field.value = "1/2"
    field.value = ""
    assert guess.value == 0.5 and page.texts[1] == "Written: 0.5"
    field.value = "0.25"
    assert kept(desk)["03.wait"]["value"] == 0.25


def test_after_a_restart_it_is_there_again(page, desk):
    lab.ask("03.wait", QUESTION, unit="%").write("30")
    again = lab.ask("03.wait", QUESTION, unit="%")
    assert again.ready and again.value == 30
    assert page.rows[-1].children[0].value == "30" and page.texts[-1] == "Written: 30 %"


def test_a_cell_that_runs_again_replaces_its_box(page, desk):
    first = lab.ask("03.wait", QUESTION)
    old = page.rows[0]
    lab.ask("03.wait", QUESTION)
    assert old.comm is None and first.value is None


def test_the_result_stands_beside_the_prediction_and_is_kept(page, desk):
    guess = lab.ask("03.wait", QUESTION, unit="%")
    guess.write(20)
    before = len(page.items)
    guess.reveal(torch.tensor(30.0), show="a figure")
    (table,), (figure,) = page.items[before:]
    assert repr(table) == (
        "predicted 20 %, measured 30 %, measured / predicted 1.5: near: within a factor of 1.5"
    )
    assert "| 20 % | **30 %** | 1.5 |" in table._repr_markdown_()
    assert figure == "a figure"
    assert kept(desk)["03.wait"]["measured"] == 30.0


def test_a_prediction_of_zero_has_no_ratio(page, desk):
    guess = lab.ask("00.difference", QUESTION)
    guess.write(0)
    guess.reveal(0.0)
    assert page.texts[-1] == "predicted 0, measured 0, measured / predicted –: exact"


def test_without_a_prediction_it_asks_once_more_and_shows_nothing(page, desk):
    guess = lab.ask("03.wait", QUESTION)
    guess.reveal(30.0, show="figure")
    assert len(page.rows) == 2
    assert not any("30" in text or "figure" in text for text in page.texts)
    assert "measured" not in json.dumps(LearnerFile(desk).read())


def table():
    print("the table says 30")
    return "figure"


def test_what_a_function_prints_is_held_back_with_what_it_returns(page, desk, capsys):
    guess = lab.ask("03.wait", QUESTION)
    guess.reveal(30.0, show=table)
    assert capsys.readouterr().out == "" and not any("30" in text for text in page.texts)
    guess.write(60)
    assert page.texts[-3].startswith("predicted 60, measured 30")
    assert page.texts[-2:] == ["the table says 30", "'figure'"] and capsys.readouterr().out == ""


def test_what_is_held_back_is_as_it_was_when_its_cell_ran(page, desk):
    runs = [1, 2]
    guess = lab.ask("03.wait", QUESTION)
    guess.reveal(30.0, show=lambda: print(runs))
    runs = ["another cell's"]
    guess.waive()
    assert page.texts[-1] == "[1, 2]"


def test_later_cells_wait_for_the_number_too(page, desk, capsys):
    guess = lab.ask("03.wait", QUESTION)
    guess.then(table)
    guess.then(lambda: None)
    assert capsys.readouterr().out == "" and page.texts[-2:] == [
        f"This comes after your number. {QUESTION}",
        "",
    ]
    guess.write(60)
    assert page.texts[-2:] == ["the table says 30", "'figure'"] and capsys.readouterr().out == ""
    guess.then(table)
    assert page.texts[-1] == "'figure'" and capsys.readouterr().out == "the table says 30\n"


def test_a_number_that_the_result_followed_stays(page, desk):
    guess = lab.ask("03.wait", QUESTION)
    guess.write(60)
    guess.reveal(30.0)
    page.rows[0].children[0].value = "30"
    assert guess.value == 60 and page.rows[0].children[0].value == "60"
    assert page.texts[1] == "Written: 60 (it stays: its result has been shown)"
    again = lab.ask("03.wait", QUESTION)
    again.write(30)
    assert again.value == kept(desk)["03.wait"]["value"] == 60


def test_a_number_that_followed_the_result_says_so(page, desk):
    guess = lab.ask("03.wait", QUESTION)
    guess.reveal(30.0)
    guess.waive()
    guess.write(31)
    guess.write(30)
    assert kept(desk)["03.wait"] | {"late": True, "value": 30.0} == kept(desk)["03.wait"]
    again = lab.ask("03.wait", QUESTION)
    again.reveal(30.0)
    assert page.texts[-1].startswith("predicted 30 (after its result), measured 30")


def test_a_question_can_say_what_is_near_and_a_result_what_is_right_as_well(page, desk):
    guess = lab.ask("03.cosine", QUESTION, near=lab.within(0.05))
    guess.write(0)
    guess.reveal(-0.03)
    assert page.texts[-1].endswith("right: no more than 0.05 apart") and kept(desk)["03.cosine"]["dot"] == 1
    guess = lab.ask("03.count", QUESTION, "nodes")
    guess.write(32)
    guess.reveal(16, also=[32])
    assert page.texts[-1].endswith("right: 32 nodes does as well")
    with pytest.raises(TypeError, match=r"near takes lab\.within"):
        lab.ask("03.cosine", QUESTION, near=0.05)


def test_infinity_is_kept_and_there_again(page, desk):
    lab.ask("09.width", QUESTION).write("inf")
    again = lab.ask("09.width", QUESTION)
    again.reveal(float("inf"))
    assert page.rows[-1].children[0].value == "inf" and page.texts[-1].endswith("exact")


def test_a_number_that_was_written_in_lab_09_is_there_in_lab_10(page, desk):
    lab.ask("09.half", QUESTION).write("0.3")
    assert lab.ask("10.half", QUESTION).value == 0.3


@pytest.mark.parametrize("box", [0, 1])
def test_a_number_in_either_box_reveals_in_place(page, desk, box):
    guess = lab.ask("03.wait", QUESTION)
    guess.reveal(30.0, show=lambda: "figure")
    shown = len(page.items)
    page.rows[box].children[0].value = "60"
    assert len(page.items) == shown, "in place: nothing new on the page"
    assert repr(page.items[-2][-1]).startswith("predicted 60, measured 30, measured / predicted 0.5")
    assert page.items[-1][-1] == "figure"
    assert [row.children[0].value for row in page.rows] == ["60", "60"]


def test_show_me_anyway_reveals_without_a_number(page, desk):
    guess = lab.ask("03.wait", QUESTION, unit="s")
    guess.reveal(30.0)
    button = page.rows[1].children[2]
    assert button.description == "Show me anyway"
    button.click()
    assert page.texts[-1] == "measured 30 s; no prediction was written"
    assert guess.ready and guess.value is None and button.layout.display == "none"
    assert page.texts[3] == "The result is shown without a number."


def test_who_waits_for_a_prediction_is_called_once(page, desk):
    calls = []
    guess = lab.ask("03.wait", QUESTION)
    guess.when_ready(lambda: calls.append("locked"))
    assert calls == []
    guess.write(1)
    guess.write(2)
    guess.when_ready(lambda: calls.append("open"))
    assert calls == ["locked", "open"]


def test_where_nobody_sits_the_text_depends_on_the_result_alone(page, tmp_path, monkeypatch):
    monkeypatch.setenv("DDL_LAB_HOME", str(tmp_path))
    LearnerFile(tmp_path).note("predictions", "03.wait", value=7.0)
    guess = lab.ask("03.wait", QUESTION, unit="%")
    guess.reveal(30.0, show="figure")
    assert page.rows == [] and guess.ready and guess.value is None
    assert page.texts == [
        f"Your prediction. {QUESTION}",
        "measured 30 %; no prediction was written",
        "'figure'",
    ]
    assert kept(tmp_path) == {"03.wait": {"value": 7.0}}


@pytest.mark.parametrize("measured", [None, "fast", torch.ones(2), [1]])
def test_a_result_that_is_no_number_is_refused(page, measured):
    with pytest.raises(TypeError, match="reveal takes the measured number; it got a "):
        lab.ask("03.wait", QUESTION).reveal(measured)


class Desk(Kernel):
    """A kernel whose widgets a test can use."""

    def open_widgets(self, code):
        """Run a cell; its widgets' comms by model name, in order, and all texts."""
        self.client.execute(code)
        return self.heard()

    def heard(self):
        comms, texts = [], []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            content = message["content"]
            if message["msg_type"] == "comm_open":
                comms.append((content["data"]["state"]["_model_name"], content["comm_id"]))
            elif message["msg_type"] == "stream":
                texts.append(content["text"])
            elif message["msg_type"] in ("display_data", "update_display_data"):
                texts.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                raise AssertionError(content)
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return comms, texts

    def tell(self, comm, **data):
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        self.client.shell_channel.send(message)
        return self.heard()[1]


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("DDL_LAB_HOME", str(tmp_path))
    monkeypatch.delenv("DDL_LAB_UNATTENDED", raising=False)
    found = Desk()
    yield found
    found.client.stop_channels()
    found.manager.shutdown_kernel(now=True)


def model(comms, name):
    return [comm for kind, comm in comms if kind == name]


def test_in_a_kernel_boxes_are_heard_results_appear_and_a_restart_keeps_them(kernel, tmp_path):
    comms, _ = kernel.open_widgets("import ddl_lab as lab\nguess = lab.ask('03.wait', 'How long?', unit='s')")
    comms, texts = kernel.open_widgets("guess.reveal(3.0, show=lambda: 'the figure')")
    (button,), (field,) = model(comms, "ButtonModel"), model(comms, "TextModel")
    assert not any("3" in text for text in texts)
    assert "measured 3 s; no prediction was written" in kernel.tell(
        button, method="custom", content={"event": "click"}
    )
    update = {"state": {"value": "1.5"}, "buffer_paths": []}
    assert "Written: 1.5 s (after its result)" in kernel.tell(field, method="update", **update)
    assert kept(tmp_path)["03.wait"]["value"] == 1.5
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)
    _, texts = kernel.open_widgets(
        "import ddl_lab as lab\nlab.ask('03.wait', 'How long?', unit='s').reveal(3.0)"
    )
    assert texts[-1].startswith("predicted 1.5 s (after its result), measured 3 s, measured / predicted 2")


def test_in_a_kernel_nothing_that_a_gate_holds_back_leaves_it_before_the_number(kernel):
    kernel.open_widgets(
        "import ddl_lab as lab\nfrom IPython.display import display\nguess = lab.ask('03.wait', 'How?')"
    )
    show = "def show():\n    print('held 1')\n    display('held 2')\n    return 'held 3'\n"
    comms, texts = kernel.open_widgets(show + "guess.reveal(3.0, show=show)")
    assert not any("held" in text for text in texts)
    _, texts = kernel.open_widgets("guess.then(show)")
    assert texts == ["This comes after your number. How?", "", ""]
    (field,) = model(comms, "TextModel")
    texts = kernel.tell(field, method="update", state={"value": "1.5"}, buffer_paths=[])
    held = ["held 1", "'held 2'", "'held 3'"]
    assert [text for text in texts if "held" in text] == held * 2


def test_a_program_that_runs_notebooks_is_not_asked_and_keeps_nothing(kernel, tmp_path):
    kernel.client.execute(
        "import ddl_lab as lab\nlab.ask('03.wait', 'How long?').reveal(3.0)", allow_stdin=False
    )
    comms, texts = kernel.heard()
    assert comms == [] and texts == [
        "Your prediction. How long?",
        "measured 3; no prediction was written",
    ]
    assert os.listdir(tmp_path) == []
