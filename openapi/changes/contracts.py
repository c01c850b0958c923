"""Two contracts: which operations came, went or moved, and what is around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from derive import Schema

from changes.change import At, Change, Findings
from changes.operations import Operation, OperationComparison, operations_of
from changes.schemas import SchemaComparison
from changes.wording import without_texts


def compare(old: Schema, new: Schema) -> list[Change]:
    """List what changed, each change once, in an order that depends on nothing but the changes.

    :param old: the contract that callers know
    :param new: the contract that is to be
    """
    found = Findings()
    schemas = SchemaComparison(old, new, found)
    operations = OperationComparison(old, new, schemas, found)
    everywhere = At("all operations", "", "contract", request=True)
    _compare_servers(old, new, everywhere, found)
    _compare_access(old, new, everywhere, found)
    _compare_schemes(old, new, found)
    for before, after in _paired(operations_of(old), operations_of(new), found):
        at = At(after.name, "", "operation", request=True)
        if "servers" in {**before.content, **after.content}:
            _compare_servers({**old, **before.content}, {**new, **after.content}, at, found)
        if "security" in {**before.content, **after.content}:
            _compare_access({**old, **before.content}, {**new, **after.content}, at, found)
        operations.visit(before, after)
    schemas.finish()
    changes = found.changes()
    if not changes and _bare(old) != _bare(new):
        sentence = "written in another way; nothing that this comparison knows is different"
        return [Change("changed", "contract", "", ("the contract",), sentence)]
    return changes


def _bare(spec: Schema) -> Any:
    return without_texts({key: value for key, value in spec.items() if key not in ("info", "tags")})


def _paired(
    old: dict[str, Operation], new: dict[str, Operation], found: Findings
) -> Iterator[tuple[Operation, Operation]]:
    """Pair the operations of both, and report those that came, went or moved."""
    gone = {operation.name: operation for key, operation in old.items() if key not in new}
    fresh = {operation.name: operation for key, operation in new.items() if key not in old}
    for name, operation in gone.items():
        at = At(operation.address, "", "operation", request=True)
        if name in fresh:
            sentence = f"operation {name}, now {fresh[name].address}"
            found.add("renamed", at, sentence, "old clients call the old address")
            yield operation, fresh.pop(name)
        else:
            found.add("removed", at, f"operation {name}; in Python {operation.function}", "calls of it fail")
    for name, operation in fresh.items():
        at = At(operation.address, "", "operation", request=True)
        found.add("added", at, f"operation {name}; in Python {operation.function}")
    yield from ((old[key], new[key]) for key in old if key in new)


def _compare_servers(old: Schema, new: Schema, at: At, found: Findings) -> None:
    before, after = ([server["url"] for server in spec.get("servers", ())] for spec in (old, new))
    for url in before:
        if url not in after:
            found.add("removed", At(at.owner, url, "server", request=True), "server", "old clients call it")
    for url in after:
        if url not in before:
            found.add("added", At(at.owner, url, "server", request=True), "server")
    if before[:1] != after[:1] and before[:1] and before[0] in after:
        sentence = f"default server {after[0]} instead of {before[0]}"
        found.add("changed", at, sentence, "who gives no address calls another server")


def _compare_access(old: Schema, new: Schema, at: At, found: Findings) -> None:
    if old.get("security") != new.get("security"):
        found.add("changed", at, "security is not what it was", "old callers may have no access")


def _compare_schemes(old: Schema, new: Schema, found: Findings) -> None:
    before, after = (without_texts(spec["components"].get("securitySchemes", {})) for spec in (old, new))
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            at = At(f"securitySchemes {name}", "", "contract", request=True)
            found.add("changed", at, "the key is given in another way", "old clients give it in the old way")
