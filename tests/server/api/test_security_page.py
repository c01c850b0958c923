"""The page about security: each of its lines names a test that shows it."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
RULE = re.compile(r"\|(-+\|)+")


@cache
def names_in(file):
    """The names of the functions in a file."""
    statements = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    return {found.name for found in statements if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)}


def rows():
    """The rows of all tables, without their heads."""
    lines = PAGE.splitlines()
    heads = {place - 1 for place, line in enumerate(lines) if RULE.fullmatch(line)}
    return [
        line
        for place, line in enumerate(lines)
        if line.startswith("|") and place not in heads and not RULE.fullmatch(line)
    ]


def test_every_test_that_it_names_exists():
    """It stands in the file in which it is said to stand."""
    named = NAMED.findall(PAGE)
    missing = [f"{file}::{name}" for file, name in named if not (ROOT / file).exists() or name not in names_in(file)]
    assert missing == []
    assert len(named) > 20


def test_every_line_names_a_test():
    """In its last column, and there is nothing else in that."""
    for row in rows():
        last = row.strip("|").split("|")[-1].strip()
        assert NAMED.sub("", last).strip(" ,") == "", row
        assert NAMED.search(last), row


def test_nothing_is_named_in_another_form():
    """What looks like a test is one that the other tests of this page have seen."""
    assert PAGE.count("::") == len(NAMED.findall(PAGE))
