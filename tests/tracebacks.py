"""Errors as people and tools print them."""

import traceback
from pathlib import Path

from rich.traceback import Traceback

TESTS = str(Path(__file__).parent)


def everything_shown(error):
    """Return the text of an error, its attributes, and its tracebacks with the local variables of all our frames.

    Local variables are shown as the standard library and as rich show them; rich looks into containers and classes.
    The frames of tests are left out: they hold the secrets that are sent.
    """
    printed = traceback.TracebackException.from_exception(error, capture_locals=True)
    part = printed
    while part:
        part.stack[:] = [frame for frame in part.stack if not frame.filename.startswith(TESTS)]
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    # Not rendered: colouring the source code would take a second.
    trace = Traceback.extract(type(error), error, error.__traceback__, show_locals=True, locals_max_string=None)
    frames = [frame for stack in trace.stacks for frame in stack.frames if not frame.filename.startswith(TESTS)]
    variables = [f"{name} = {value}" for frame in frames for name, value in (frame.locals or {}).items()]
    notes = getattr(error, "__notes__", ())
    return "\n".join([str(error), repr(error), repr(vars(error)), *notes, *printed.format(), *variables])
