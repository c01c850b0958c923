"""A notebook for tests: a real kernel, and the outputs of each cell."""

import contextlib
import os
import textwrap
from pathlib import Path

from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[2]


class Notebook:
    """A notebook whose cells run one after the other.

    :param client: the client of the kernel
    """

    def __init__(self, client):
        self._client = client
        self._places = {}

    def run(self, cell):
        """Run a cell and return its outputs: streams, errors, and displays with the history of their content.

        Where a later cell updates the display of an earlier one, the content is added to the earlier output.
        """
        outputs = []
        asked = self._client.execute(textwrap.dedent(cell))
        while True:
            # Messages of earlier cells included.
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
    """Start a kernel without the configuration of the user.

    :param Path home: its directory for files
    """
    names = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    places = dict.fromkeys(names, str(home))
    # These are for the terminal in which the tests run.
    kept = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT), env={**kept, **places})
    try:
        yield Notebook(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
