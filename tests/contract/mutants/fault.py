"""A fault: a small mistake that somebody could make, in one place of a copy of the project."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

SPEC, EXT, SERVER = "openapi/experiments.yaml", "gradient_ext", "gradient_server"
GENERATED = "generated/gradient_api"
PROCESS, PAGE = f"{SERVER}/process", f"{SERVER}/page"
_GUARDS = [
    f"{SERVER}/{name}.py"
    for name in (
        *("foreign_requests", "own_names", "key_check", "wrong_keys"),
        *("chosen_key", "key_file", "private_files", "exposure"),
    )
]
_SIDES = {
    "openapi/": "contract",
    f"{PROCESS}/": "process",
    f"{PAGE}/": "page",
    **dict.fromkeys(_GUARDS, "guards"),
    f"{SERVER}/": "server",
}
"""The parts of the project by how the paths of their files begin; of several, the first. All others: client."""


@frozen
class Fault:
    """One mistake.

    :param str name: what it is, in a few words
    :param str path: the file that it is in
    :param str old: what stands there; it must stand there exactly once
    :param str new: what somebody wrote instead
    """

    name: str
    path: str
    old: str
    new: str

    @property
    def side(self) -> str:
        """The part of the project that is wrong."""
        return next((side for beginning, side in _SIDES.items() if self.path.startswith(beginning)), "client")

    def problem(self, project: Path) -> str | None:
        """Say why it does not fit a project; None: it does."""
        path = project / self.path
        if not path.is_file():
            return f"there is no {self.path}"
        times = path.read_text(encoding="utf-8").count(self.old)
        return None if times == 1 else f"{self.path} has {times} times, not once: {self.old!r}"

    def put_into(self, project: Path) -> None:
        """Make the mistake in a project that it fits."""
        path = project / self.path
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")
