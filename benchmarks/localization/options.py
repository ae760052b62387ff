"""The command line of the benchmarks that score a model's maps on drawn scenes."""

import argparse
from typing import TypeVar

from saccade.errors import SaccadeError
from saccade.tasks import load

T = TypeVar("T")


def parse(description: str | None, task_class: type[T], n: int) -> tuple[T, argparse.Namespace]:
    """The loaded model, which must be of `task_class`, and the options `n` and `seed`.

    n: default number of scenes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a bundled model's name or a model file")
    parser.add_argument("--n", type=int, default=n, help="number of scenes")
    parser.add_argument("--seed", type=int, default=999, help="seed of the scenes, different from that of training")
    options = parser.parse_args()
    task = load(options.model)
    if not isinstance(task, task_class):
        raise SaccadeError(f"{options.model}: expected a model for {task_class.__name__}, found {type(task).__name__}")
    return task, options
