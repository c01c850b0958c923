"""The data that the server and the driver of a run exchange: the package that starts the driver, and its files."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import gradient_api
import pathspec
from attrs import asdict, frozen

import gradient_ext
from gradient_server.runners.ray.placement import Bundle
from gradient_server.runners.supervised.run_files import LaunchSpec

CODE, ORDER, SPEC = "code.zip", "order.json", "spec.json"
"""The files of a package."""
FOLDER, ARTIFACTS, SIZES = "gradient", "artifacts.tar", "sizes.json"
"""Where a driver writes the files of its run, below the folder of Ray's logs; among them its artifacts, and the sizes
of the others."""
_FILES: dict[Path, Sequence[str]] = {
    Path(__file__).parents[2]: (
        *("__init__.py", "clock.py", "private_files.py"),
        *("runners/__init__.py", "runners/base.py", "runners/machine_types.py", "runners/supervised/*.py"),
        *("runners/ray/driver.py", "runners/ray/on_ray.py", "runners/ray/placement.py", "runners/ray/package.py"),
    ),
    Path(gradient_api.__file__).parent: ("__init__.py", "constants.py"),
    Path(gradient_ext.__file__).parent: ("__init__.py", "workspace_files.py"),
    Path(pathspec.__file__).parent: ("**/*.py",),
}
"""The modules that drivers and agents need and Ray does not bring along, by the folders of their packages."""
_CHECK = """\
import sys

if sys.version_info < (3, 11, 4):
    found = ".".join(map(str, sys.version_info[:3]))
    sys.exit("Runs need Python 3.11.4 or newer on the machines of the cluster, and Ray has " + found)
"""
"""The module that Python imports first there: an older one says which it has to be."""
_PRIVATE_FILE = 0o100600 << 16
"""The rights of a file in a zip file that only its owner can read."""


@frozen
class Order:
    """The work of a driver besides running a spec.

    :param str id: of its job
    :param bundles: what each node needs
    """

    id: str
    bundles: Sequence[Bundle]

    @classmethod
    def parse(cls, text: str) -> Order:
        """Return the order in a package."""
        data = json.loads(text)
        return cls(data["id"], [Bundle(**bundle) for bundle in data["bundles"]])


def make_package(order: Order, spec: LaunchSpec) -> bytes:
    """Return the package of a run: a zip file. Its spec may hold secrets, and is readable by its owner alone."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CODE, code())
        for name, content in ((ORDER, order), (SPEC, spec)):
            info = zipfile.ZipInfo(name)
            info.external_attr = _PRIVATE_FILE
            archive.writestr(info, json.dumps(asdict(content)))
    return file.getvalue()


@functools.cache
def code() -> bytes:
    """Return the modules that drivers and agents need, as a zip file that Python imports from."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for top, patterns in _FILES.items():
            for path in sorted(path for pattern in patterns for path in top.glob(pattern)):
                archive.write(path, path.relative_to(top.parent))
        # Not that of the server, which needs httpx.
        archive.writestr("gradient_server/runners/ray/__init__.py", _CHECK)
    return file.getvalue()
