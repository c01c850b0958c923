"""What it costs to import the package, and to make a client."""

from attrs import frozen


@frozen
class Comparison:
    """Some code, what it is compared with, and how many times as long it may take."""

    code: str
    base: str
    aim: float


COMPARISONS = (
    Comparison("import gradient", "import httpx", 0.1),
    Comparison("from gradient import ExperimentsClient, constants", "import attrs", 1.3),
    Comparison("from gradient import ExperimentsClient; ExperimentsClient('k')", "import httpx, attrs", 1.25),
)
