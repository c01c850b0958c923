"""What experiments and lists have in common when they are shown: in a notebook, in a terminal, and as plain text.

What does the work is imported when something is shown, so that programs that show nothing do not load it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from gradient_ext.tables import Table

_MOST_ROWS_IN_A_NOTEBOOK = 50


class Showing:
    """Something that can be shown as a table. Secrets are masked in all of its forms."""

    __slots__ = ()

    def _table(self, most: int | None = None) -> Table:
        """Say what is shown: at most so many rows; default: all."""
        # Each kind has its own. Not abstract: type checkers would refuse the `type(self)(...)` of the lists then.
        raise NotImplementedError

    def pretty(self, *, width: int | None = None) -> str:
        """Give a readable form in aligned columns, as plain text. Passwords and credentials are masked.

        Texts that are too long are wrapped or cut; what is None is left out of an experiment.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> print(one.pretty())
        name                mnist
        id                  es1
        state               running (4)
        experiment_type_id  single node (1)

        :param int width: how wide it may be; default: as wide as the terminal, or 100 characters where there is none

        :returns: the text, without a line break at its end
        :rtype: str
        """
        from gradient_ext.text_tables import text_of

        return text_of(self._table(), width)

    def show(self, *, color: bool | None = None, width: int | None = None, file: TextIO | None = None) -> None:
        """Print the readable form that `pretty()` gives, with states in colour where it is printed to a terminal.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> ExperimentList([one]).show(width=80)
        id   name   type         state    project_id  container  machine
        es1  mnist  single node  running

        :param bool color: whether to use colours; default: only on a terminal, and not if `NO_COLOR` is set
        :param int width: how wide it may be; default: as wide as the terminal, or 100 characters where there is none
        :param file: where to print; default: `sys.stdout`
        """
        from gradient_ext.text_tables import print_table

        print_table(self._table(), width, color=color, file=file)

    def _repr_html_(self) -> str:
        """Give the form that notebooks show."""
        from gradient_ext.html_tables import html_of

        return html_of(self._table(_MOST_ROWS_IN_A_NOTEBOOK))
