"""Where a training benchmark writes its results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cyclopts

from benchmarks.common.chart import Points, line_chart
from benchmarks.common.machine import machine

FLAT = cyclopts.Parameter(name="*")  # the fields of a dataclass become options of their own


@dataclass
class Outputs:
    """Files to write.

    Parameters
    ----------
    json_file
        Write all figures there.
    chart
        Draw the curves there, as SVG.
    """

    json_file: Path | None = None
    chart: Path | None = None

    def write(self, results: Mapping[str, Any], settings: Any) -> None:
        """The results with the machine and the settings, a dataclass."""
        if self.json_file:
            context = {"machine": machine(), "settings": {key: str(value) for key, value in vars(settings).items()}}
            self.json_file.write_text(json.dumps({**results, **context}, indent=1))

    def draw(self, title: str, y_label: str, lines: Mapping[str, Points], level: float) -> None:
        """Curves over minutes of training; see `line_chart`."""
        if self.chart:
            line_chart(self.chart, title, "minutes of training", y_label, lines, level)
