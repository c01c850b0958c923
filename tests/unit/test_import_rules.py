"""Which module may import which: the rules as data, and the imports of the source held to them."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = {
    "gradient_ext": [
        ["gradient_ext"],
        ["gradient_ext._json", "gradient_ext.retention", "gradient_ext.states", "gradient_ext.workspace_files"],
        ["gradient_ext.redaction"],
        ["gradient_ext.errors"],
        [
            "gradient_ext.config",
            "gradient_ext.display",
            "gradient_ext.display.dataframes",
            "gradient_ext.display.tables",
        ],
        ["gradient_ext.display.fields"],
        [
            "gradient_ext.artifacts",
            "gradient_ext.display.progress",
            "gradient_ext.experiments",
            "gradient_ext.packing",
            "gradient_ext.parameters",
            "gradient_ext.projects",
            "gradient_ext.retries",
            "gradient_ext.storage",
        ],
        ["gradient_ext.download_folder", "gradient_ext.logs", "gradient_ext.metrics", "gradient_ext.pagination"],
        [
            *("gradient_ext.async_downloads", "gradient_ext.downloads", "gradient_ext.polling"),
            *("gradient_ext.async_transport", "gradient_ext.transport"),
        ],
        [
            *("gradient_ext.async_base_client", "gradient_ext.base_client"),
            *("gradient_ext.async_tags", "gradient_ext.tags", "gradient_ext.async_uploads", "gradient_ext.uploads"),
        ],
        ["gradient_ext.async_reader", "gradient_ext.reader"],
        [
            *("gradient_ext.async_client", "gradient_ext.client"),
            *("gradient_ext.async_projects_client", "gradient_ext.projects_client"),
        ],
        ["gradient.*"],
    ],
    "gradient_cli": [
        *[[]] * 13,
        ["gradient_cli.options", "gradient_cli.output"],
        ["gradient_cli.outcomes"],
        ["gradient_cli.targets"],
        ["gradient_cli.experiments", "gradient_cli.projects", "gradient_cli.server"],
        ["gradient_cli.app"],
        ["gradient_cli"],
        ["gradient_cli.__main__"],
    ],
    "gradient_server": [
        ["gradient_server", "gradient_server.private_files", "gradient_server.clock", "gradient_server.settings"],
        ["gradient_server.runners", "gradient_server.runners.base"],
        ["gradient_server.runners.machine_types"],
        ["gradient_server.runners.supervised.*", "gradient_server.store.*"],
        ["gradient_server.runners.*", "gradient_server.metrics.*"],
        ["gradient_server.api.*"],
        ["gradient_server.dashboard.*", "gradient_server.faults.*"],
        [
            *("gradient_server.app", "gradient_server.console", "gradient_server.http_server", "gradient_server.keys"),
            "gradient_server.retention",
        ],
        ["gradient_server.local_server", "gradient_server.cli"],
        ["gradient_server.__main__", "gradient_server.pytest_plugin"],
    ],
}
"""From the bottom. A module imports from lower floors only; the modules of a package `name.*` may import each other."""

ONLY_IN = {
    "httpx": ["gradient_ext.async_transport", "gradient_ext.transport", "gradient_server.runners.ray.dashboard"],
    "ray": ["gradient_server.runners.ray.on_ray"],
    "rich": ["gradient_ext.display.progress", "gradient_ext.display.tables"],
    "IPython": ["gradient_ext.display.progress"],
    "pandas": ["gradient_ext.display.dataframes"],
    "gradient_api.api": [
        *("gradient_ext.async_client", "gradient_ext.client"),
        *("gradient_ext.async_projects_client", "gradient_ext.projects_client"),
        *("gradient_ext.async_reader", "gradient_ext.reader"),
        *("gradient_ext.async_tags", "gradient_ext.tags", "gradient_ext.async_uploads", "gradient_ext.uploads"),
    ],
    "gradient_server": ["gradient_server", "gradient_cli.server"],
    "click": ["gradient_cli"],
    "gradient_cli": ["gradient_cli"],
}
"""Who may import a package, whether directly or in a function. Imports for type checkers alone are free."""

RUNNERS_KNOW = [
    *("gradient_server.runners.base", "gradient_server.runners.machine_types", "gradient_server.runners.supervised"),
    *("gradient_server.clock", "gradient_server.private_files"),
]
"""All of the server that a runner may import, besides modules of its own package."""

LATE = {
    "gradient_cli.main": "click is in an extra",
    "gradient_cli.server.open_page": "the server is in an extra",
    "gradient_ext.async_base_client._transport": "a program that makes a client does not wait for httpx",
    "gradient_ext.base_client._transport": "a program that makes a client does not wait for httpx",
    "gradient_ext.display.tables._rich_text": "rich is in an extra",
    "gradient_server.__getattr__": "pytest imports the package for its plugin, also without the extra `server`",
    "gradient_server.runners.ray.on_ray._run_agent": "Ray brings the function alone to other machines",
    "gradient_server.runners.supervised.push_gateway.finish_request": "most supervisors receive no pushes",
    "gradient_server.runners.supervised.workspace._download": "most supervisors download nothing",
}
"""The functions that import something, each with its reason."""


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(node, function=""):
    """Return the full names that are imported below a node except for types, each with the function that does it."""
    match node:
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            return [found for child in node.orelse for found in imports_of(child, function)]
        case ast.Import():
            return [(alias.name, function) for alias in node.names]
        case ast.ImportFrom():
            return [(f"{node.module}.{alias.name}", function) for alias in node.names]
        case ast.Constant(str(text)) if LAZY.fullmatch(text):
            return [(text, "")]  # for `import_module` or `LazyModule`
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            function = node.name
    return [found for child in ast.iter_child_nodes(node) for found in imports_of(child, function)]


def is_within(name, package):
    return name == package or name.startswith(f"{package}.")


LAZY = re.compile(r"(gradient_\w+|httpx|rich|IPython|pandas)(\.\w+)+")
SOURCES = {
    module_name(path): path.read_text()
    for package in ("gradient", "gradient_cli", "gradient_ext", "gradient_server")
    for path in (ROOT / package).rglob("*.py")
}
IMPORTS = [
    (module, name if name in SOURCES else name.rpartition(".")[0] if name.rpartition(".")[0] in SOURCES else name, late)
    for module, source in SOURCES.items()
    for name, late in imports_of(ast.parse(source))
]
"""The importing module, what it imports, and the function with the import, or an empty text."""
PLACES = {place: number for floors in FLOORS.values() for number, floor in enumerate(floors) for place in floor}


def place_of(module):
    """Return where a module is listed in FLOORS: by its own name, or as part of a package; None: nowhere."""
    packages = [place for place in PLACES if place.endswith(".*") and is_within(module, place[:-2])]
    return module if module in PLACES else next(iter(packages), None)


def test_every_module_is_on_a_floor():
    missing = [module for module in SOURCES if place_of(module) is None]
    assert not missing, f"FLOORS does not say where {', '.join(missing)} belongs"


def test_imports_run_downwards():
    for module, name, function in IMPORTS:
        source, target = place_of(module), place_of(name)
        if target in (None, source) or (module, function) == ("gradient_server", "__getattr__"):
            continue
        crosses = is_within(module, "gradient_server") and not is_within(name, "gradient_server")
        assert crosses or PLACES[source] > PLACES[target], (
            f"{module} imports {name}, which is on no lower floor in FLOORS"
        )


def test_imports_form_no_circle():
    graph = {module: set() for module in SOURCES}
    for module, name, function in IMPORTS:
        if name in SOURCES and (module, function) != ("gradient_server", "__getattr__"):
            graph[module].add(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_only_where_it_belongs(package):
    allowed = ONLY_IN[package]
    for module, name, _ in IMPORTS:
        if is_within(name, package):
            assert any(is_within(module, place) for place in allowed), f"{module} imports {name}; only {allowed} may"


def test_a_runner_imports_of_the_server_only_its_base_and_clock():
    for module, name, _ in IMPORTS:
        runner = ".".join(module.split(".")[:3])
        if is_within(runner, "gradient_server.runners") and is_within(name, "gradient_server"):
            allowed = (
                any(is_within(name, known) for known in RUNNERS_KNOW)
                or is_within(name, runner)
                or runner == "gradient_server.runners.base"
            )
            assert allowed, f"{module} imports {name}; a runner may import {RUNNERS_KNOW} and its own package"


def test_a_function_imports_nothing_without_a_reason():
    late = {f"{module}.{function}" for module, _, function in IMPORTS if function}
    assert late - LATE.keys() == set(), (
        "these functions import something; import it at the top, or put a reason in LATE"
    )
    assert LATE.keys() - late == set(), "these functions import nothing; remove them from LATE"
