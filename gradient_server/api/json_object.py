"""A JSON object out of the bytes of a request, or a word about why there is none."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeGuard, cast

MOST_DEPTH = 64
"""How deep a body can be nested. Beyond some hundred levels, what reads and writes JSON gives up."""


class NotAnObject(ValueError):
    """There is no JSON object in the bytes; the text says why, without repeating them."""


def json_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object that can be written as JSON in UTF-8 again.

    :raises NotAnObject: there is none
    """
    try:
        text = raw.decode("utf-8-sig")
        found: object = json.loads(text, parse_constant=_refused, parse_float=_finite)
    except UnicodeDecodeError:
        raise NotAnObject("The body is not text in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise NotAnObject(f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise NotAnObject(_TOO_DEEP) from None
    except ValueError:
        raise NotAnObject("The body is not JSON: it has a number that no computer knows.") from None
    if not _is_object(found):
        raise NotAnObject("The body must be a JSON object.")
    if _is_deeper(found, MOST_DEPTH):
        raise NotAnObject(_TOO_DEEP)
    if _has_lone_surrogates(found):
        raise NotAnObject("The body is not text in UTF-8: half of a surrogate pair is escaped in it.")
    return found


_TOO_DEEP = f"The body is nested more than {MOST_DEPTH} deep."


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("JSON cannot say infinity, so nobody could be told of it")
    return value


def _is_deeper(value: object, most: int) -> bool:
    """Look level by level: the depth of what came from outside must not become the depth of calls."""
    level = [value]
    for _ in range(most):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if _is_object(value):
        return list(value.values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)  # JSON has no other names than texts.


def _has_lone_surrogates(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
