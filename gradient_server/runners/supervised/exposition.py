"""The text format of Prometheus, in which programs push metrics, and the metrics that the values belong to."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from gradient_server.runners.base import PushedValue

MAX_NAME_LENGTH = 200
"""Characters of a name with its labels."""
_SAMPLE = re.compile(
    r"(?P<name>[A-Za-z_:][\w:]*+)\s*+(?:\{(?P<labels>.*)\}\s*|(?<=\s))(?P<value>\S+)(?P<timestamp>\s+\S+)?", re.ASCII
)
_LABEL = re.compile(r'\s*(?P<name>[A-Za-z_]\w*+)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*+)"\s*(?:,|\Z)', re.ASCII)
_ESCAPED = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
_PLACES = frozenset({"job", "instance", "pod"})
"""Labels that say where a value comes from, which its node says already."""
_WORKLOAD = re.compile("label_metrics_[a-z]+_handle")


class Sample(NamedTuple):
    """A pushed value, and the metric and the step that it belongs to; None: it has no step."""

    name: str
    step: float | None
    value: float

    def encode(self) -> str:
        """Return it as text for a row of a file."""
        return json.dumps(self)


def decode(number: int, timestamp: float, text: str) -> PushedValue | None:
    """Return the value in a row of a file; None: the row is damaged."""
    try:
        return PushedValue(number, timestamp, *Sample(*json.loads(text)))
    except (ValueError, TypeError):
        return None


def parse_group(path: str) -> dict[str, str]:
    """Return the labels in the path of a push.

    >>> parse_group("metrics/job/es1/step/3/name@base64/YS9i")
    {'job': 'es1', 'step': '3', 'name': 'a/b'}

    :raises ValueError: it is no such path
    """
    root, *parts = path.split("/")
    if root != "metrics" or len(parts) % 2 or not parts or parts[0].partition("@")[0] != "job":
        raise ValueError("the path has to be /metrics/job/NAME, and may go on with /LABEL/VALUE")
    group: dict[str, str] = {}
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        name, at, encoding = key.partition("@")
        if at:
            if encoding != "base64":
                raise ValueError(f"{key:.60} has an encoding that is not base64")
            group[name] = base64.urlsafe_b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)).decode()
        else:
            group[name] = unquote(value)
    return group


def parse_samples(body: bytes, group: Mapping[str, str]) -> list[Sample]:
    r"""Return the values in the body of a push that become points of metrics.

    Counters, gauges and values without a type are one metric each; histograms and summaries have the metrics `_sum` and
    `_count`, summaries also their quantiles. Buckets, infos and times of creation are left out.

    >>> parse_samples(b'# TYPE loss gauge\nloss{step="3",split="val"} 0.5\n', {"job": "es1"})
    [Sample(name='loss{split="val"}', step=3.0, value=0.5)]

    :param group: the labels of all of them, which take precedence

    :raises ValueError: a line is wrong
    """
    samples: list[Sample] = []
    for number, encoded in enumerate(body.split(b"\n"), 1):
        line = encoded.decode(errors="replace").strip()
        if not line or line.startswith("#"):
            continue
        try:
            encoded.decode()
            sample = _sample(line, group)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}: {line:.100}") from None
        if sample:
            samples.append(sample)
    return samples


def _sample(line: str, group: Mapping[str, str]) -> Sample | None:
    match = _SAMPLE.fullmatch(line)
    if not match:
        raise ValueError('not NAME{LABEL="VALUE"} NUMBER')
    if not _NUMBER.fullmatch(match["value"]):
        raise ValueError("the value is no number")
    if match["timestamp"]:
        raise ValueError("a pushed value must not have a timestamp")
    name, value = match["name"], float(match["value"])
    labels = {**_labels(match["labels"] or ""), **group}
    if name.endswith(("_created", "_info")) or (name.endswith("_bucket") and "le" in labels):
        return None
    step = labels.pop("step", "")
    full_name = _full_name(name, labels)
    if len(full_name) > MAX_NAME_LENGTH:
        raise ValueError(f"the name and its labels are longer than {MAX_NAME_LENGTH} characters")
    return Sample(full_name, _step(step), value)


def _labels(text: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip()):
        match = _LABEL.match(text, position)
        if not match:
            raise ValueError('the labels are not LABEL="VALUE", separated by commas')
        labels[match["name"]] = _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], match["value"])
        position = match.end()
    return labels


def _full_name(name: str, labels: Mapping[str, str]) -> str:
    """Return the name of a metric with the labels that are not about where it comes from."""
    shown = {
        label: value
        for label, value in sorted(labels.items())
        if value and label not in _PLACES and not _WORKLOAD.fullmatch(label) and (label, value) != ("name", name)
    }
    listed = ",".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in shown.items())
    return f"{name}{{{listed}}}" if listed else name


def _step(text: str) -> float | None:
    step = float(text) if _NUMBER.fullmatch(text) else math.nan
    return step if math.isfinite(step) else None
