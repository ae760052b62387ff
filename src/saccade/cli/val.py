"""`saccade val`: scores of a model on annotated pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saccade.cli import console
from saccade.cli.console import DeviceName, Json, Precision
from saccade.cli.interrupt import import_torch
from saccade.cli.models import load_with_head
from saccade.cli.task_options import options_for_task, task_parameters, with_options
from saccade.errors import DataError
from saccade.language import set_label_translations
from saccade.options import OnError
from saccade.tasks.bundled_models import DEFAULT_CLASSIFIER
from saccade.tasks.commands import Evaluation, TaskCommands
from saccade.tasks.registry import all_task_commands


@with_options(options=task_parameters("val_options"))
def val(
    data: Path,
    *,
    model: str = DEFAULT_CLASSIFIER,
    out: Path | None = None,
    split: str | None = None,
    on_error: OnError = "skip",
    device: DeviceName = "auto",
    precision: Precision = "auto",
    as_json: Json = False,
    options: dict[str, Any],
) -> None:
    console.check_data(data)
    from saccade.data.output import check_outside_data, convert_os_errors, write_file

    if out is not None:
        check_outside_data(out, data)
    import_torch()
    from saccade.device import init_device
    from saccade.tasks.public_loading import is_public_matcher

    task, commands = load_with_head(model, {"text"} if is_public_matcher(model) else ())
    set_label_translations(task)
    task_options = options_for_task(commands, "val_options", options, model)
    place = init_device(device, precision)
    out = out or Path("runs") / f"val-{task.name}"
    with convert_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        result = commands.evaluate(task, data, split, on_error, place, out, task_options)
    except BaseException as error:
        if not any(out.iterdir()):  # a folder of nothing is not left
            out.rmdir()
        if isinstance(error, DataError) and model == DEFAULT_CLASSIFIER:
            raise DataError(f"{error}; the model is {model}, the default of --model") from error
        raise
    scores = {**result.scores, "notes": result.notes}
    write_file(out / "scores.json", json.dumps(scores, ensure_ascii=False, indent=1).encode())
    if result.rows:
        write_file(out / "pictures.csv", _table(result.rows).encode())
    console.print_stderr_notes(result.notes)
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
        return
    console.print_styled_line(console.stdout(), f"{task.name} on {result.scores['pictures']} pictures, {place}")
    _print_scores(result, commands)
    each = ", those of each picture in pictures.csv" if result.rows else ""
    console.print_styled_line(console.stdout(), f"Charts of the scores are in {out}{each}")


def _table(rows: list[dict[str, Any]]) -> str:
    """As CSV. Names that spreadsheets would take for formulas have an apostrophe in front."""
    from saccade.data.output import csv_cell, csv_table

    return csv_table([list(rows[0]), *([_cell(value, csv_cell) for value in row.values()] for row in rows)])


def _cell(value: Any, text: Callable[[str], str]) -> str:
    """Empty where there is nothing to score."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else text(str(value))


def _print_scores(result: Evaluation, commands: TaskCommands) -> None:
    from saccade.studio.terminal import bars

    stdout = console.stdout()
    scores = {key: value for key, value in result.scores.items() if value is None or isinstance(value, float)}
    shown = {key: "n/a" if value is None else f"{value:.4f}" for key, value in scores.items()}
    console.print_styled_line(
        stdout, *(part for key, value in shown.items() for part in (f"{key} ", (value, "bold"), "  "))
    )
    console.print_styled_line(stdout, f"{commands.bars_title}:")
    scored = {label: score for label, score in result.bars.items() if score is not None}
    stdout.print(bars(list(scored), list(scored.values())))
    console.print_skipped(stdout, result.scores["skipped"], commands.items)


val.__doc__ = f"""Score a model on annotated pictures.

{" ".join(task.evaluates for task in all_task_commands())}

Examples:

    saccade val pets/test --model runs/pets

    saccade val cells/ --split test --model runs/cells

    saccade val captioned/ --model hf:openai/clip-vit-base-patch32

    saccade val scenes:1000 --model scenes

Parameters
----------
data
    Folder or tar, or a COCO .json, a table of captions, or scenes:N for N drawn scenes.
model
    As for look, or an .onnx or .xml file that saccade export wrote.
out
    Folder for scores.json, charts, and pictures.csv with scores of each picture; default runs/val-MODEL.
split
    Which split of the data to use, where it has several. Of the data that a model was trained on, the part that was
    held out is scored by default, "all" for all.
on_error
    What to do with a picture that cannot be read.
device
    Where to compute.
precision
    auto: bf16 where the processor is measured to be faster in it.
as_json
    Print the scores as JSON.
"""
