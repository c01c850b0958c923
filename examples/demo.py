"""Start the local server on a free port, run the quickstart against it, and stop the server. `make demo` calls it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

from gradient_server import LocalServer

QUICKSTART = Path(__file__).with_name("quickstart.py")
