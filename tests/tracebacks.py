"""What people and tools print of an error."""

import io
import traceback
from pathlib import Path

from rich.console import Console
from rich.traceback import Traceback

TESTS = str(Path(__file__).parent)


def everything_shown(error):
    """Return the text of an error, its attributes, and its tracebacks with the local variables of all our frames.

    The frames of tests are left out: they hold the secrets that are sent.
    """
    console = Console(file=io.StringIO(), width=200)
    frames = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, suppress=[TESTS]
    )
    console.print(frames)
    printed = traceback.TracebackException.from_exception(error, capture_locals=True)
    part = printed
    while part:
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(TESTS)]
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    notes = getattr(error, "__notes__", ())
    return "\n".join([str(error), repr(error), repr(vars(error)), *notes, *printed.format(), console.file.getvalue()])
