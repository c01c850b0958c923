"""All that tools show of an error: what logs, debuggers and crash reporters would print of it."""

import traceback


def printed(value):
    try:
        return repr(value)
    except AttributeError:
        return "an object that is only half made"


def everything_about(error):
    """Say it: of the error and of all that led to it, with the variables of every frame that is not a test's own."""
    shown = []
    left, seen = [error], []
    while left:
        error = left.pop()
        if error is None or error in seen:
            continue
        seen.append(error)
        left += [error.__cause__, error.__context__]
        shown += [str(error), repr(error), repr(vars(error)), *getattr(error, "__notes__", ())]
        shown += traceback.format_exception(error)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "/tests/" not in frame.f_code.co_filename:
                where = f"{frame.f_code.co_filename} {frame.f_code.co_name}"
                shown += [f"{where}: {name} = {printed(value)}" for name, value in frame.f_locals.items()]
    return "\n".join(shown)
