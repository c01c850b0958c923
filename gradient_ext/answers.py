"""What an error answer says: the words of the server, from whatever shape it put them in.

The shapes are those of the historical services: JSON objects with the words under several names, plain text, and the
HTML pages of proxies in front of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from gradient_ext.json_types import is_array, is_object
from gradient_ext.printable import printable

_NAMES_OF_WORDS = frozenset({"description", "error", "errors", "message", "messages", "title"})
_LONGEST_TEXT = 500


def words_of(body: bytes) -> tuple[str, ...]:
    """Collect what an error body says to a person, in a stable order and without repetition.

    >>> words_of(b'{"error": "Forbidden", "details": "Incorrect API Key provided"}')
    ('Incorrect API Key provided', 'Forbidden')
    >>> words_of(b'<html><title>502 Bad Gateway</title><body>nginx</body></html>')
    ('502 Bad Gateway',)
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        found = list(_words(json.loads(text)))
    except (ValueError, RecursionError):
        found = list(_plain_words(text))
    return tuple(dict.fromkeys(_shortened(word) for word in found if word.strip()))


def details_of(body: bytes) -> object:
    """Give what an error body has under `details`, as it is; all of it, where it is no JSON object.

    >>> details_of(b'{"details": {"name": ["Missing data for required field."]}, "error": "Experiment data error"}')
    {'name': ['Missing data for required field.']}
    """
    try:
        content: object = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace") or None
    return content.get("details") if is_object(content) else content


def _plain_words(text: str) -> Iterator[str]:
    if not re.search(r"<(!doctype|html|head|body)\b", text, re.IGNORECASE):
        yield text
        return
    title = re.search(r"<(title|h1)\b[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    yield re.sub(r"\s+", " ", title[2]).strip() if title else "a web page instead of an answer"


def _words(body: object) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif is_array(body):
        for member in body:
            yield from _words(member)
    elif is_object(body):
        # In the order of the names, as the first clients did: `details` come before `error`.
        for name in sorted(body):
            if name in _NAMES_OF_WORDS:
                yield from _words(body[name])
            elif name == "details":
                yield from _details(body[name])


def _details(details: object) -> Iterator[str]:
    if not is_object(details):
        yield from _words(details)
        return
    for name, texts in details.items():
        if name == "messages":  # api.paperspace.io repeated the members one level down
            yield from _details(texts)
        for text in texts if is_array(texts) else [texts]:
            if isinstance(text, str) and name != "context":
                yield f"{name}: {text}"


def _shortened(text: str) -> str:
    text = printable(text.strip(), lines=True)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."
