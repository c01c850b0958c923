"""A notebook for tests: a real kernel, and what a front-end shows below a cell that has run."""

import contextlib
import os
import textwrap
from pathlib import Path

from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[2]


class Notebook:
    """Cells that are run one after the other.

    :param client: of the kernel
    """

    def __init__(self, client):
        self._client = client
        self._places = {}

    def run(self, cell):
        """Run a cell, and give its outputs: a stream, an error, or what is shown in one place, one after the other.

        What a later cell shows in the place of an earlier one is added to the output of that one.
        """
        outputs = []
        asked = self._client.execute(textwrap.dedent(cell))
        while True:
            # Whatever cell it belongs to: what goes on below an earlier one is seen, too.
            message = self._client.get_iopub_msg(timeout=30)
            self._take(message["msg_type"], message["content"], outputs)
            if message["content"].get("execution_state") == "idle" and message["parent_header"]["msg_id"] == asked:
                return outputs

    def _take(self, kind, content, outputs):
        place = content.get("transient", {}).get("display_id")
        if kind == "stream" and outputs and outputs[-1].get("stream") == content["name"]:
            outputs[-1]["text"] += content["text"]
        elif kind == "stream":
            outputs.append({"stream": content["name"], "text": content["text"]})
        elif kind == "error":
            outputs.append({"error": content["ename"]})
        elif kind == "update_display_data":
            self._places[place].append(content["data"])
        elif kind in ("display_data", "execute_result"):
            outputs.append({"shown": [content["data"]]})
            self._places[place] = outputs[-1]["shown"]


@contextlib.contextmanager
def notebook(home):
    """Start a kernel that knows nothing of its user.

    :param Path home: where it may keep its files
    """
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    places = dict.fromkeys(names, str(home))
    # What forces colours, or takes them away, is for the terminal in which the tests run.
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT), env={**kept, **places})
    try:
        yield Notebook(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
