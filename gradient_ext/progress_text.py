"""The words of a live line about an experiment, wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable

from gradient_ext.states import Style, state_style, state_word


def elapsed_text(seconds: float) -> str:
    """Write how long something has taken.

    >>> elapsed_text(31.9), elapsed_text(3723)
    ('0:31', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def line_text(
    handle: str,
    state: int | None,
    row_count: int | None,
    seconds: float,
    *,
    in_color: Callable[[str, Style], str] = lambda word, tone: word,
) -> str:
    """Write the line.

    :param in_color: how to write the word for a state, given what its colour should say; default: as it is

    >>> line_text("es1", 4, 1, 31), line_text("es1", None, None, 0)
    ('es1 running, 0:31, 1 row', 'es1, 0:00')
    """
    if state is not None:
        word, tone = state_word(state), state_style(state)
        handle = f"{handle} {in_color(word, tone) if tone else word}"
    rows = "" if row_count is None else f", {row_count} row{'' if row_count == 1 else 's'}"
    return f"{handle}, {elapsed_text(seconds)}{rows}"
