"""A real Jupyter kernel, for tests: it runs cells and tells what they showed."""

import os
import re

from jupyter_client.manager import start_new_kernel


class Kernel:
    """A kernel that runs cells and tells what they showed."""

    def __init__(self, **environ):
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=os.environ | environ)

    @property
    def pid(self):
        return self.manager.provisioner.process.pid

    def run(self, code, timeout=60):
        """What a cell printed, and its error as (name, value, traceback)."""
        self.ask(code)
        return self.collect(timeout)

    def ask(self, code):
        """Let the kernel run ``code``; ``collect`` waits for its end."""
        self.asked = self.client.execute(code)

    def collect(self, timeout=60):
        text, error = "", None
        while True:
            message = self.client.get_iopub_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") != self.asked:
                continue  # of a cell that a restart has cut off
            content = message["content"]
            if message["msg_type"] == "stream":
                text += content["text"]
            elif message["msg_type"] in ("display_data", "update_display_data", "execute_result"):
                text += content["data"].get("text/plain", "")
            elif message["msg_type"] == "error":
                shown = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(content["traceback"]))
                error = (content["ename"], content["evalue"], shown)
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return text, error

    def close(self):
        """End it. The channels to a killed one too: they would open socket after socket to reach it."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
