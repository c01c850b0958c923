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
    shown = [console.file.getvalue()]
    while error:
        shown += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if not frame.f_code.co_filename.startswith(TESTS):
                shown += [f"{name} = {_safe_repr(value)}" for name, value in frame.f_locals.items()]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(shown)


def _safe_repr(value):
    try:
        return repr(value)
    except AttributeError:
        return "an object whose __init__ has not finished"
