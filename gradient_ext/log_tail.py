"""The last rows of a log whose length nobody says. No I/O: the search says what to ask and takes what came back."""

from __future__ import annotations

from attrs import define, field

from gradient_ext.logs import LogQuestion, LogRow, by_line, without_ends

_PAGE = 1000
_MOST_QUESTIONS = 100


@define
class LogTail:
    """Searches for the end of the logs of an experiment, without reading all of them.

    It asks further and further on until nothing comes, and then halves what lies between. The rows of all jobs come
    ordered by line; the last ones are those of the job with the longest log.

    :param int count: how many rows to find
    """

    count: int
    finished: bool = field(default=False, init=False)
    _rows: list[LogRow] = field(factory=list[LogRow], init=False)
    _last: int = field(default=0, init=False)
    """The last line that has been seen."""
    _nothing_after: int | None = field(default=None, init=False)
    _asked: int = field(default=0, init=False)
    _question: LogQuestion = field(default=LogQuestion(0, _PAGE), init=False)

    @property
    def question(self) -> LogQuestion:
        """What to ask next."""
        return self._question

    @property
    def rows(self) -> list[LogRow]:
        """The last rows that have been found, without the markers that end the logs of jobs."""
        return without_ends(self._rows)[-self.count :]

    def take(self, page: list[LogRow]) -> None:
        """Take the answer to the question, and move on."""
        self._asked += 1
        page = sorted(page, key=by_line)
        end_is_known = self._nothing_after is not None and self._nothing_after <= self._last
        if page and (page[-1].line > self._last or end_is_known):
            self._rows, self._last = page, max(self._last, page[-1].line)
        else:
            self._nothing_after = max(self._last, min(self._question.line, self._nothing_after or self._question.line))
        if end_is_known or self._asked >= _MOST_QUESTIONS:
            self.finished = True
        elif self._nothing_after is None:
            # The whole log often fits into the first page: the second question is whether it did.
            self._question = LogQuestion(self._last if self._asked == 1 else self._last * 2, _PAGE)
        elif self._nothing_after > self._last:
            self._question = LogQuestion((self._last + self._nothing_after) // 2, _PAGE)
        else:
            # Also where the last page seems to have them all: it may have been cut within the last line.
            self.finished = not self._rows
            self._question = LogQuestion(max(0, self._last - self.count - 1), _PAGE)
