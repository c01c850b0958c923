"""Edits of the contract: functions that change a document, at places that are written with spaces between the steps."""

import json
from importlib.resources import files

SPEC = json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))


def at(spec, path):
    for step in path.split():
        spec = spec[int(step)] if isinstance(spec, list) else spec[step]
    return spec


def put(path, value):
    """An edit: put a value at the end of a path."""

    def edit(spec):
        place, _, name = path.rpartition(" ")
        whole = at(spec, place)
        whole[int(name) if isinstance(whole, list) else name] = value

    return edit


def drop(path):
    def edit(spec):
        place, _, name = path.rpartition(" ")
        whole = at(spec, place)
        del whole[int(name) if isinstance(whole, list) else name]

    return edit


def each(*edits):
    def edit(spec):
        for one in edits:
            one(spec)

    return edit


def append(path, value):
    return lambda spec: at(spec, path).append(value)


def remove(path, value):
    return lambda spec: at(spec, path).remove(value)


def move(path, new_name):
    def edit(spec):
        place, _, name = path.rpartition(" ")
        at(spec, place)[new_name] = at(spec, place).pop(name)

    return edit
