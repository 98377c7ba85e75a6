"""Stands in for the notebook's page: what was displayed, in order, and each thing's later states."""

import asyncio
from types import SimpleNamespace

from waiting import PATIENCE_S


class FakePage:
    """``widgets``: what was displayed as a widget; ``pictures``, ``words``: states, the last one newest."""

    def __init__(self, monkeypatch):
        self.widgets, self.pictures, self.words, self.marked = [], [], [], []
        monkeypatch.setattr("IPython.display.display", self.display)

    def display(self, thing, metadata=None, raw=False, display_id=None):
        if not raw:
            self.widgets.append(thing)
            return None
        self.update(thing, metadata)
        return SimpleNamespace(update=self.update)

    def update(self, bundle, metadata=None, raw=True):
        if "image/png" in bundle:
            self.pictures.append(bundle | {"metadata": metadata})
        else:
            self.words.append(bundle["text/plain"])
            self.marked.append(bundle["text/html"])

    @property
    def text(self):
        """The words below the figure, on one line each."""
        return self.words[-1].rsplit("\n", 1)[0]

    @property
    def title(self):
        return self.pictures[-1]["text/plain"]


def in_a_loop(act):
    """Run ``act``, a coroutine function, as a cell runs: inside the kernel's event loop."""
    return asyncio.run(act())


async def until(condition, seconds=PATIENCE_S):
    """Let the loop go on until ``condition()`` holds."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it never came to that"
        await asyncio.sleep(0.002)
