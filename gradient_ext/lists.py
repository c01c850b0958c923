"""The lists that the client returns: plain lists that show as tables and turn into dictionaries and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, SupportsIndex, TypeVar, overload

from gradient_ext import public
from gradient_ext.experiments import BaseExperiment
from gradient_ext.logs import LogRow
from gradient_ext.showing import Showing

if TYPE_CHECKING:
    import pandas

    from gradient_ext.tables import Table

Item = TypeVar("Item")


class ShownList(list[Item], Showing):
    """A list whose slices, sums and copies are of its own class, too."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Item: ...
    @overload
    def __getitem__(self, index: slice, /) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Item | Self:
        if isinstance(index, slice):
            return type(self)(super().__getitem__(index))
        return super().__getitem__(index)

    if not TYPE_CHECKING:  # What list says of its types holds.

        def __add__(self, others, /):  # noqa: ANN001, ANN204 # those of list
            return type(self)(super().__add__(others))

    def __mul__(self, count: SupportsIndex, /) -> Self:
        return type(self)(super().__mul__(count))

    def __rmul__(self, count: SupportsIndex, /) -> Self:
        return self * count

    def copy(self) -> Self:
        """Give a list of the same class with the same members.

        >>> ExperimentList([]).copy().pretty()
        'no experiments'
        """
        return type(self)(self)


@public
class ExperimentList(ShownList[BaseExperiment]):
    """A list of experiments, as `ExperimentsClient.list()` returns it.

    It is a list in every way. Notebooks show it as a table; `show()` prints one. Secrets are masked in both.

    >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1, machine_type="K80")
    >>> print(ExperimentList([one]).pretty())
    id   name   type         state    project_id  container  machine
    es1  mnist  single node  running                         K80
    """

    __slots__ = ()

    def to_dict(self, *, secrets: bool = False) -> list[dict[str, object]]:
        """Give the dictionary of each experiment, all of them together in a list that can be written as JSON.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> [found["name"] for found in ExperimentList([one]).to_dict()]
        ['mnist']

        :param bool secrets: whether passwords and credentials are in it; default: they are masked

        :returns: what `to_dict()` gives of each experiment
        :rtype: list of dict
        """
        return [experiment.to_dict(secrets=secrets) for experiment in self]

    def to_dataframe(self, *, secrets: bool = False) -> pandas.DataFrame:
        """Make a data frame with a row for each experiment; needs pandas, which this package does not install.

        The columns are the attributes of experiments of all kinds, whatever is in the list, so that scripts can rely on
        them; `frame.dropna(axis="columns", how="all")` leaves those that say something. Beside the number in `state`
        there is its word in `state_name`. Times (`dt_created` ...) are datetime64[ns, UTC], whole numbers that may be
        missing Int64, texts string and yes or no boolean, so that what is missing is `<NA>` or `NaT` and nothing else.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> ExperimentList([one]).to_dataframe()[["id", "name", "state_name"]]
            id   name state_name
        0  es1  mnist    running

        :param bool secrets: whether passwords and credentials are in it; default: they are masked

        :returns: the frame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        from gradient_ext.frames import experiment_frame

        return experiment_frame(self.to_dict(secrets=secrets))

    def _table(self, most: int | None = None) -> Table:
        from gradient_ext.tables import experiments_table

        return experiments_table(self, most)


@public
class LogRows(ShownList[LogRow]):
    """A list of log rows, as `ExperimentsClient.logs()` returns it; from `yield_logs()` make one with `LogRows(...)`.

    It is a list in every way. Notebooks show it as a table; `show()` prints one. Passwords in addresses are masked in
    both, and are in the messages themselves as they were logged.

    >>> print(LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")]).pretty())
    line  timestamp                 message
       1  2019-08-06T17:21:18.528Z  step 1/3
    """

    __slots__ = ()

    def to_dict(self) -> list[dict[str, object]]:
        """Give the dictionary of each row, all of them together in a list that can be written as JSON.

        >>> LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z", "js1")]).to_dict()
        [{'line': 1, 'message': 'step 1/3', 'timestamp': '2019-08-06T17:21:18.528Z', 'job_id': 'js1'}]

        :returns: what `to_dict()` gives of each row
        :rtype: list of dict
        """
        return [row.to_dict() for row in self]

    def to_dataframe(self) -> pandas.DataFrame:
        """Make a data frame with a row for each log row; needs pandas, which this package does not install.

        The columns are `line` (int64), `message` (string), `timestamp` (datetime64[ns, UTC]) and `job_id` (string). A
        timestamp that is none is `NaT`.

        >>> LogRows([LogRow(1, "step 1/3", "2019-08-06T17:21:18.528Z")]).to_dataframe()[["line", "message"]]
           line   message
        0     1  step 1/3

        :returns: the frame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        from gradient_ext.frames import log_frame

        return log_frame(self.to_dict())

    def _table(self, most: int | None = None) -> Table:
        from gradient_ext.tables import log_table

        return log_table(self, most)
