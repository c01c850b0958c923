"""Times as people read them. Pure."""

from __future__ import annotations

from datetime import datetime

from gradient_server.dashboard.markup import Html, tag


def time_html(stamp: str | None, *, of_day: bool = False) -> Html | None:
    """Write a time in UTC: the date and the second, or the time of the day to the millisecond.

    >>> time_html("2024-05-06T07:08:09.123456+00:00")
    '<time datetime="2024-05-06T07:08:09.123456+00:00">2024-05-06 07:08:09</time>'
    >>> time_html("2024-05-06T07:08:09.5Z", of_day=True)
    '<time datetime="2024-05-06T07:08:09.5Z" title="2024-05-06 07:08:09.500 UTC">07:08:09.500</time>'
    """
    if stamp is None:
        return None
    date, _, time = (
        datetime.fromisoformat(stamp).isoformat(timespec="milliseconds").removesuffix("+00:00").partition("T")
    )
    if of_day:
        return tag("time", time, datetime=stamp, title=f"{date} {time} UTC")
    return tag("time", f"{date} {time.partition('.')[0]}", datetime=stamp)


def seconds_between(begin: str | None, end: str | None) -> float | None:
    """Say how long something took, if it is over.

    >>> seconds_between("2024-05-06T07:08:09+00:00", "2024-05-06T07:09:09+00:00"), seconds_between("2024-05-06", None)
    (60.0, None)
    """
    if begin is None or end is None:
        return None
    return (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
