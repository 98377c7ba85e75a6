"""The web book in a real Chromium: it moves and asks without Python, and asks nothing of the network.

DDL_LAB_BOOK=build/book tests a book that is there, all pages of it; else one is built from the labs as they
are saved and from a small one whose explorers are pressed.
"""

import functools
import html
import http.server
import importlib
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import nbformat
import pytest

from tools.book import build as building
from tools.book import pages, press
from tools.chromium import CHROMIUM

ROOT = Path(__file__).parents[2]
LABS = sorted(path.stem for path in (ROOT / "labs").glob("*.ipynb"))

SMALL = [
    ("markdown", "# 98 · A small lab\n\n## 1 · A question"),
    ("code", "import ddl_lab as lab\ntaller = lab.ask('98.taller', 'How many `boxes`?', unit='boxes')"),
    ("code", "taller.reveal(7)"),
    ("markdown", "Seven, as the answer says."),
    ("markdown", "## 2 · Explorers"),
    (
        "code",
        "def work(node, lr=0.1):\n"
        "    for k in range(3):\n"
        "        with node.compute(seconds=1 / node.world_size):\n"
        "            pass\n"
        "        node.record(loss=lr / (k + 1))\n"
        "lab.explore(work, nodes=2, most=4, lr=[0.1, 0.2])",
    ),
    (
        "code",
        "from ddl_lab import plots\n"
        "def draw(nodes, power):\n"
        "    if nodes == 5:\n"
        "        raise ValueError('five is no number for it')\n"
        "    return plots.speedup({1: 1.0, nodes: nodes**power}), f'{nodes} nodes'\n"
        "lab.vary(draw, nodes=lab.Slider(2, 8, start=3), power=lab.Slider(0.5, 1.0, start=1.0, step=0.25))",
    ),
]

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="no npm, which brings MathJax"),
]


def small_lab(path):
    """A lab with a question, an explorer and a function that draws, run."""
    cells = [getattr(nbformat.v4, f"new_{kind}_cell")(source) for kind, source in SMALL]
    notebook = nbformat.v4.new_notebook(cells=cells)
    press.run(notebook)
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The folder of the book."""
    if there := os.environ.get("DDL_LAB_BOOK"):
        return (ROOT / there).resolve()
    base = tmp_path_factory.mktemp("book")
    labs = base / "labs"
    shutil.copytree(ROOT / "labs", labs, ignore=shutil.ignore_patterns("*checkpoints"))
    small_lab(labs / "98_small.ipynb")
    building.build(base / "book", base / "kept", ["98"], labs)
    return base / "book"


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """axe-core's script, as the lock pins it."""
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "docs/book" / name, folder)
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(npm, cwd=folder, check=True, capture_output=True)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(book, browser):
    """Opens a page of the book; at the end nothing came from outside and nothing complained."""
    wrong, contexts = [], []
    home = book.as_uri()

    def watch(page, home, scripts):
        def asked(request):
            if not request.url.startswith((home, "data:")):
                wrong.append(request.url)

        page.on("request", asked)
        if scripts:  # else they are what fails
            page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type in ("error", "warning") and wrong.append(said.text))

    def show(name, home=home, **how):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
        contexts.append(context)
        page = context.new_page()
        watch(page, home, how.get("java_script_enabled", True))
        page.goto(f"{home}/{name}.html")
        page.wait_for_load_state("load")
        return page

    yield show
    for context in contexts:
        context.close()
    assert not wrong


def moving(book):
    """The pages whose explorers move."""
    return [p.stem for p in sorted(book.glob("[0-9]*.html")) if 'type="range"' in p.read_text()]


def looked_at(book):
    """All pages of a book that is there; of one that was built for the tests, some."""
    names = [path.stem for path in sorted(book.glob("[0-9]*.html"))]
    return ["index", *names] if os.environ.get("DDL_LAB_BOOK") else ["index", "03_one_step", "98_small"]


def test_every_lab_has_its_page_on_the_cover_and_each_picture_its_file_and_words(book):
    cover = (book / "index.html").read_text()
    for lab in LABS:
        assert f'href="{lab}.html"' in cover
        page = (book / f"{lab}.html").read_text()
        for image in re.findall(r'<img class="figure"[^>]*>', page):
            source, words = (re.search(rf'{key}="([^"]*)"', image)[1] for key in ("src", "alt"))
            assert (book / source).is_file() and words and ".png" not in words, image


def test_the_glossary_leads_to_sections_of_the_pages(book):
    targets = re.findall(r'href="(\d\d_\w+\.html)#([^"]+)"', (book / "glossary.html").read_text())
    assert len(targets) > 40
    for page, anchor in targets:
        assert f'id="{anchor}"' in (book / page).read_text(), (page, anchor)


def bare(text):
    return "".join(text.split())


def sayings(path):
    """What stands in a lab's cells, and what they printed."""
    for cell in nbformat.read(path, as_version=4).cells:
        yield cell.source
        for output in cell.get("outputs", []):
            yield output.get("text", "") or output.get("data", {}).get("text/plain", "")


def test_no_page_has_an_answer_to_an_exercise(book):
    from ddl_lab.exercises.machine import EXERCISES
    from ddl_lab.exercises.texts import source_of

    for lab in LABS:
        importlib.import_module(f"ddl_lab.exercises.lab_{lab[:2]}")
    taught = "".join(bare(said) for path in (ROOT / "labs").glob("*.ipynb") for said in sayings(path))
    shown = "".join(
        bare(html.unescape(re.sub(r"<[^>]+>", "", path.read_text()))) for path in book.glob("[0-9]*.html")
    )
    taught += "".join(bare(hint).replace("`", "") for e in EXERCISES.values() for hint in e.hints)
    hidden = 0
    for key, exercise in EXERCISES.items():
        for line in map(bare, source_of(exercise.reference).splitlines()[1:]):
            if len(line) >= 30 and line not in taught:  # else too short to tell, or the lab itself teaches it
                hidden += 1
                assert line not in shown, (key, line)
    assert hidden > 50


def test_every_range_moves_by_keyboard_and_its_picture_and_words_follow(book, opened):
    names = moving(book)
    assert names
    for name in names:
        page = opened(name)
        for button in page.locator("form.predict button[type=button]").all():
            button.click()
        for box in page.locator(".explorer").all():
            for control in box.locator("input[type=range]").all():
                seen, start = {see(box)}, control.get_attribute("value")
                control.focus()
                page.keyboard.press("Home")
                for _ in range(int(control.get_attribute("max"))):
                    told = control.get_attribute("aria-valuetext")
                    page.keyboard.press("ArrowRight")
                    assert control.get_attribute("aria-valuetext") != told
                    seen.add(see(box))
                assert len(seen) > 1, (name, control.get_attribute("id"))
                control.evaluate(BACK, start)
                assert len({words for _, words in seen}) > 1 or len({picture for picture, _ in seen}) > 1
            page.wait_for_function(
                "box => box.querySelector('img').complete && box.querySelector('img').naturalWidth > 0",
                arg=box.element_handle(),
            )


BACK = "(range, start) => { range.value = start; range.dispatchEvent(new Event('input')); }"


def see(box):
    return box.locator("img").get_attribute("src"), box.locator(".words").inner_text()


def test_what_answers_waits_for_a_number_and_the_page_keeps_it(book, opened):
    name = looked_at(book)[-1]
    page = opened(name)
    form = page.locator("form.predict").first
    key = form.get_attribute("data-key")
    answer = page.locator(f'.cell:has(.shows[data-key="{key}"])').first
    assert not answer.is_visible() and page.locator(".waiting").first.is_visible()
    form.locator("button[type=submit]").click()
    assert not answer.is_visible() and "a number first" in form.inner_text()
    form.locator("input").fill("12")
    form.locator("input").press("Enter")
    assert answer.is_visible() and "measured" in answer.inner_text()
    page.reload()
    page.wait_for_load_state("load")
    assert page.locator(f'.cell:has(.shows[data-key="{key}"])').first.is_visible()
    assert page.locator("form.predict input").first.input_value() == "12"


def test_show_me_anyway_shows_and_keeps_nothing(book, opened):
    page = opened(looked_at(book)[-1])
    page.locator("form.predict button[type=button]").first.click()
    shown = page.locator(".cell:has(.shows)").first
    assert shown.is_visible()
    page.reload()
    page.wait_for_load_state("load")
    assert not page.locator(".cell:has(.shows)").first.is_visible()


def test_all_can_be_read_without_script(book, opened):
    page = opened(looked_at(book)[1], java_script_enabled=False)
    assert all(cell.is_visible() for cell in page.locator(".cell:has(.shows)").all())
    assert not page.locator("form.predict .answer, .explorer .controls").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone_and_axe_finds_no_serious_fault(book, opened, axe, scheme):
    for name in looked_at(book):
        page = opened(name, viewport={"width": 390, "height": 800}, color_scheme=scheme)
        page.wait_for_function("!window.MathJax || MathJax.startup.promise.then(() => true)")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        page.evaluate(axe)
        found = page.evaluate("axe.run({resultTypes: ['violations'], preload: false})")["violations"]
        assert not [f for f in found if f["impact"] in ("serious", "critical")], (name, found)


def test_the_same_over_http_and_formulas_show(book, opened):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(book))
    handler.log_message = lambda *words: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page = opened("03_one_step", home=f"http://127.0.0.1:{server.server_port}")
            page.wait_for_selector("mjx-container mjx-math")
        finally:
            server.shutdown()
            thread.join()


# -- what is pressed ------------------------------------------------------------------------------


def test_pictures_are_kept_under_all_that_made_them(tmp_path):
    lab = tmp_path / "97_none.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), lab)
    folder = press.pressed(lab, tmp_path / "kept")
    assert json.loads((folder / "pressed.json").read_text()) == {}
    assert press.pressed(lab, tmp_path / "kept") == folder
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 2")]), lab)
    assert press.pressed(lab, tmp_path / "kept") != folder


@pytest.mark.parametrize("most", [2, 3, 5, 9])
def test_a_slider_with_many_places_keeps_its_ends_and_its_start(most):
    for start in (0, 7, 50, 99):
        kept = press.thinned(list(range(100)), start, most)
        assert len(kept) <= max(most, 3) and start in kept and kept == sorted(kept)
        assert most == 2 or {0, 99} <= set(kept)


def test_a_setting_that_cannot_be_is_told_in_words(book):
    if os.environ.get("DDL_LAB_BOOK"):
        pytest.skip("the small lab is in the book that the tests build")
    told = (book / "98_small.html").read_text()
    assert "five is no number for it" in told


def test_questions_are_read_from_the_cells_that_ask():
    notebook = json.loads((ROOT / "labs" / f"{LABS[3]}.ipynb").read_text())
    asked = pages.questions(notebook)
    assert len(asked) >= 5
    for one in asked.values():
        assert re.fullmatch(r"03\.\w+", one["key"]) and len(one["question"]) > 20
