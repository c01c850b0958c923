"""Keep secrets and control characters out of what people see: errors, logs, tables, representations."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gradient_ext._json import is_mapping, is_sequence

REDACTED = "********"
"""The text that replaces a secret."""

# A quote belongs to a password, unless it ends a JSON string.
_USER_IN_URL = re.compile(r'(https?|)://([^/@:\s"]*)(?::((?:[^/\s"]|"(?![,:}\]]))*))?@', re.IGNORECASE)
# Not MAX_TOKENS, TOKENIZERS_PARALLELISM or KEYBOARD.
_SECRET_NAME = re.compile(r"(token|key|(secret|password|credential)s?)(?![a-z])", re.IGNORECASE)
_WORD_IN_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
ESCAPE_SEQUENCES = re.compile(
    r"""
    (?:\x1b\[|\x9b) [0-?]* [\ -/]* (?:[@-~]|$)                                # colours, moves the cursor, or erases
    | (?:\x1b[PX\]^_]|[\x90\x98\x9d-\x9f]) [^\x07\x1b\x9c]* (?:\x07|\x1b\\|\x9c|$)  # a title, a link
    | \x1b [\ -/]* [0-~]
    """,
    re.VERBOSE,
)
"""The sequences of control characters that terminals understand."""
# A shorter secret would be found in ordinary words.
_MIN_SECRET_LENGTH = 6


class Secret(str):
    """A text whose repr is masked: tracebacks, debuggers and logs that print variables do not show it.

    It is the text itself in every other way, so that it can be sent.

    >>> key = Secret("sesame")
    >>> key, [key], key == "sesame"
    ('********', ['********'], True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(REDACTED)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without the passwords of URLs, and without these secrets.

    >>> redact("git clone https://me:sesame@example.com/r.git")
    'git clone https://me:********@example.com/r.git'
    >>> redact("https://a-token@example.com/r.git, ssh://git@example.com/r.git")
    'https://********@example.com/r.git, ssh://git@example.com/r.git'
    """
    for secret in sorted(secrets, key=len, reverse=True):  # A secret may be the beginning of another one.
        if len(secret) >= _MIN_SECRET_LENGTH:
            for form in _written_forms(secret):
                text = text.replace(form, REDACTED)
    return _USER_IN_URL.sub(_without_password, text)


def _written_forms(secret: str) -> set[str]:
    """Return a secret as it is, and as it is written in JSON, HTML and representations of Python."""
    forms = {secret, html.escape(secret), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    for represent in (repr, ascii):
        # A text with both kinds of quotes has single ones around it, and those in it are escaped.
        escaped = represent(f"{secret}'\"")[1:-4]
        forms |= {escaped, escaped.replace("\\'", "'")}
    return forms


def redact_json(value: object, secrets: Collection[str] = ()) -> object:
    """Return a copy of a JSON value in which every text is redacted, keys included.

    >>> redact_json({"REPOSITORY": "https://me:sesame@example.com/r.git", "EPOCHS": [1, 2]})
    {'REPOSITORY': 'https://me:********@example.com/r.git', 'EPOCHS': [1, 2]}
    """
    if isinstance(value, str):
        return redact(value, secrets)
    if is_mapping(value):
        return {redact(str(name), secrets): redact_json(inner, secrets) for name, inner in value.items()}
    if is_sequence(value):
        return [redact_json(inner, secrets) for inner in value]
    # A number may be secret, too.
    return REDACTED if secrets and redact(str(value), secrets) == REDACTED else value


def redact_environment(environment: Mapping[Any, object]) -> dict[str, object]:
    """Return a copy of environment variables without the values of those whose name says that they are secret.

    A word of such a name ends with token, key, secret, password or credential.

    >>> redact_environment({"WANDB_API_KEY": "sesame", "MAX_TOKENS": 512, "REPO": "https://me:sesame@example.com/"})
    {'WANDB_API_KEY': '********', 'MAX_TOKENS': 512, 'REPO': 'https://me:********@example.com/'}
    """
    return {
        redact(str(name)): REDACTED if value is not None and is_secret_name(str(name)) else redact_json(value)
        for name, value in environment.items()
    }


def is_secret_name(name: str) -> bool:
    """Whether the name of an environment variable says that its value is secret.

    >>> is_secret_name("HF_TOKEN"), is_secret_name("dbPassword1"), is_secret_name("TOKENIZERS_PARALLELISM")
    (True, True, False)
    """
    return _SECRET_NAME.search(_WORD_IN_CAMEL_CASE.sub("_", name)) is not None


def redact_body(text: str, secrets: Collection[str]) -> str:
    r"""Return the text of a response body, redacted. JSON is decoded first: a secret can be escaped in several ways.

    >>> redact_body('{"error": "open\\/sesame is wrong"}', ["open/sesame"])
    '{"error": "******** is wrong"}'
    """
    try:
        return json.dumps(redact_json(json.loads(text), secrets))
    except (ValueError, RecursionError):
        return redact(text, secrets)


def escape_control_characters(text: str, *, multiline: bool = False) -> str:
    r"""Return a text that cannot move the cursor of a terminal, or change its colours.

    :param str text: the text
    :param bool multiline: whether to keep line breaks

    >>> escape_control_characters("a\tname\n\x1b[31m")
    'a   name\\n\\x1b[31m'
    """
    text = text.expandtabs(4)
    if multiline:
        return "\n".join(escape_control_characters(line) for line in text.splitlines())
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def remove_escape_sequences(text: str) -> str:
    r"""Return a text without the sequences by which it is coloured in a terminal; other control characters stay.

    >>> remove_escape_sequences("\x1b[1;31mloss\x1b[0m 0.5\x1b[K")
    'loss 0.5'
    """
    return ESCAPE_SEQUENCES.sub("", text)


def short_repr(value: object) -> str:
    """Return the repr of a value for an error, cut off after 60 characters.

    >>> short_repr("x" * 100) == repr("x" * 59)[:-1], short_repr(10**5000)
    (True, 'a number that is too long to show')
    """
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python writes integers of up to 4,300 digits.
        return "a number that is too long to show"


def _without_password(found: re.Match[str]) -> str:
    scheme, user, password = found.groups()
    if password and password != "x-oauth-basic":
        return f"{scheme}://{user}:{REDACTED}@"
    # In a web address without a password, the user is a token.
    return f"{scheme}://{REDACTED}@" if scheme and user else found[0]
