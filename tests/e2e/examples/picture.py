"""Make `docs/demo.svg` of what the demo prints: `.venv/bin/python -m tests.e2e.examples.picture`."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.client.terminals import Terminal

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs" / "demo.svg"
WIDTH = 100


def main() -> None:
    terminal = Terminal()
    # The live line, on stderr, is left out: it disappears before anything is printed.
    subprocess.run(
        [sys.executable, "examples/demo.py"],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": ""},
        stdout=terminal.end,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    terminal.close()
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(f"$ make demo\n{terminal.written}".replace("\r\n", "\n")))
    picture = console.export_svg(title="make demo", unique_id="demo")
    # Browsers need not load a font from anywhere.
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    PICTURE.write_text(picture.replace("Fira Code", "ui-monospace, Menlo, Consolas"), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
