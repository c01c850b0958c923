"""Learn to read handwritten digits, on many nodes: a command for the workers and the parameter servers alike.

Every worker computes gradients from its part of the images; a parameter server takes their mean, improves the
parameters by it, and gives them to all workers. Which of them this node is stands in its environment.
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
