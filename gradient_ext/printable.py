"""Text that others wrote, as it may be printed."""

from __future__ import annotations


def printable(text: str, *, lines: bool = False) -> str:
    r"""Write what does not print as Python does: nobody's terminal is moved or coloured by what others wrote.

    >>> printable("a\tname\n\x1b[31m")
    'a   name\\n\\x1b[31m'
    """
    text = text.expandtabs(4)
    if lines:
        return "\n".join(printable(line) for line in text.splitlines())
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
