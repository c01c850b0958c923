"""Learn to read handwritten digits, on many nodes: the command for workers and for parameter servers.

Each worker computes gradients from its part of the images. A parameter server updates the parameters with the mean of
these gradients and sends them to all workers. The environment of a node says what it is.
"""

from __future__ import annotations

import os

from cluster import PARAMETER_SERVER, Node
from parameter_server import serve
from settings import Settings
from worker import work


def main() -> None:
    settings = Settings.read(os.environ)
    node = Node.read(os.environ)
    if node.type == PARAMETER_SERVER:
        serve(node, settings)
    else:
        work(node, settings)


if __name__ == "__main__":
    main()
