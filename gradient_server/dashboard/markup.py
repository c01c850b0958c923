"""HTML and SVG, written by functions. Every text is escaped, unless it is HTML already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


class Html(str):
    """A text that is HTML, and is not escaped again."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
# What has no end tag in HTML. SVG closes what is empty by itself.
_VOID = frozenset(("input", "link", "meta"))


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Write an element. Attributes that are None or False are left out; `class_` is class, `http_equiv` http-equiv.

    >>> tag("a", "<b> & ", tag("i", "c"), href="/?a=1&b=2", class_="x", hidden=True, title=None)
    '<a href="/?a=1&amp;b=2" class="x" hidden>&lt;b&gt; &amp; <i>c</i></a>'
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """Write one after the other."""
    return Html("".join(map(_written, children)))


def _written(child: Child) -> str:
    match child:
        case None:
            return ""
        case Html():
            return child
        case str():
            return escape(child)
        case _:
            return joined(child)


def _attribute(key: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
