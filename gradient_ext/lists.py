"""The lists that the client returns: plain lists that show as tables and turn into dictionaries and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import fields_dict

from gradient_ext import public
from gradient_ext.display.tables import DisplayedList
from gradient_ext.experiments import BaseExperiment, fields_of_all_kinds
from gradient_ext.logs import LogRow

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display.tables import Table


@public
class ExperimentList(DisplayedList[BaseExperiment]):
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
        from gradient_ext.display.dataframes import experiment_dataframe

        return experiment_dataframe(self.to_dict(secrets=secrets), fields_of_all_kinds())

    def _table(self, max_rows: int | None = None) -> Table:
        from gradient_ext.tables import experiments_table

        return experiments_table(self, max_rows)


@public
class LogRows(DisplayedList[LogRow]):
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
        from gradient_ext.display.dataframes import log_dataframe

        return log_dataframe(self.to_dict(), list(fields_dict(LogRow)))

    def _table(self, max_rows: int | None = None) -> Table:
        from gradient_ext.tables import log_table

        return log_table(self, max_rows)
