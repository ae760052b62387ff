"""The data that a model was trained on, recognised when it is to be scored: only what was held out says how good it is
on new pictures."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from saccade.data.files import escape
from saccade.errors import DataError, SaccadeError, UsageError, shorten_list
from saccade.options import AnnotatedDataOptions, ClassDataOptions, OnError
from saccade.tasks.encoders import digest
from saccade.tasks.registry import task_commands

SAMPLES = 8  # pictures whose pixels are compared, beside the names of all


def dataset_digest(data: Any) -> str:
    """A hash of the names of all pictures of a set and of the pixels of some: sets with the same names, such as 1.jpg
    to 9.jpg for training and for testing, differ."""
    pixels = []
    for i in range(0, len(data), max(1, -(-len(data) // SAMPLES))):
        with suppress(DataError):
            image = data.picture(i).image
            pixels.append([image.size, blake2b(image.tobytes(), digest_size=16).hexdigest()])
    return digest(sorted(data.names), pixels)


def describe_split(train: Any, val: Any, options: ClassDataOptions) -> dict[str, Any]:
    """What the card of a model keeps of its data, for `held_out`."""
    chosen: dict[str, Any] = {"val_fraction": options.val_fraction, "classes": list(options.classes)}
    if isinstance(options, AnnotatedDataOptions):
        chosen["exif"] = options.exif
    return {"training": dataset_digest(train), "validation": dataset_digest(val), **chosen}


def evaluation_set(
    task: Any,
    data: Path,
    split: str | None,
    on_error: OnError,
    classes: Sequence[str],
    opened: Callable[[str | None, list[str] | None], Any],
    subset: Callable[[Any, Sequence[str], list[str]], Any],
) -> tuple[Any, list[str]]:
    """The set that `val` scores, with the model's classes, and notes on it.

    classes: those to score; empty for the model's. opened: (split, classes) -> the set, with its own classes for None.
    subset: (set, classes, labels) -> these classes of it. Raises UsageError for a class that the model does not know.
    """
    _check_known(task, classes)
    own = held_out(task, data, on_error) if split in (None, "all") else None
    if own is not None and split is None:
        dataset, note = own
        return (subset(dataset, classes, task.labels) if classes else dataset), [note]
    kept = [*(classes or _split_of(task).get("classes", ()))]
    dataset = _open(opened, split, None if kept else task.labels)
    note = overlap_note(task, dataset) or (_changed_note(task, data) if split is None else "")
    if own is not None:
        note = f"the pictures that {escape(task.name)} was trained on are scored too: on new ones it scores lower"
    notes = [note] if note else []
    if not kept:
        return dataset, notes
    notes.append(f"scored are the classes {shorten_list(map(escape, kept), 20)}")
    return subset(dataset, [name for name in kept if name in dataset.classes], task.labels), notes


def _check_known(task: Any, classes: Sequence[str]) -> None:
    unknown = [name for name in classes if name not in task.labels]
    if unknown:
        raise UsageError(
            f"--classes: {escape(task.name)} does not know {shorten_list(map(escape, unknown))}; it knows "
            f"{shorten_list(map(escape, task.labels), 20)}"
        )


def _split_of(task: Any) -> dict[str, Any]:
    """What `describe_split` wrote to the card; empty for other models."""
    split = task.card.get("split")
    return split if isinstance(split, dict) else {}


def _open(opened: Callable[[str | None, list[str] | None], Any], split: str | None, classes: list[str] | None) -> Any:
    """`--split all` is the whole set, where no split is called that."""
    try:
        return opened(split, classes)
    except DataError:
        if split != "all":
            raise
        return opened(None, classes)


def held_out(task: Any, data: Path, on_error: OnError) -> tuple[Any, str] | None:
    """The part of `data` that was held out of the model's training, with a sentence on it; None if `data` is not what
    the model was trained on, as far as its card says."""
    split = _split_of(task)
    if not split:
        return None
    own = task_commands(task.kind)
    fields = {name: split[name] for name in ("val_fraction", "classes", "exif") if name in split}
    try:
        options = own.data_options.model_validate({"data": data, "on_error": on_error, **fields})
        train, rest = own.open_splits(options, own.recipe(), 0)
    except (SaccadeError, ValueError):  # it cannot be divided as that was
        return None
    if dataset_digest(train) != split.get("training"):
        return None
    return rest, (
        f"{escape(data)} is the data that {escape(task.name)} was trained on: the {len(rest)} pictures that were held "
        "out are scored (--split all for all of them)"
    )


def overlap_note(task: Any, dataset: Any) -> str:
    """A sentence where a set holds pictures that the model was trained on, or that its weights were selected by; ""
    where that is not known."""
    split = _split_of(task)
    if not split:
        return ""
    found = dataset_digest(dataset)
    if found == split.get("training"):
        return f"{escape(task.name)} was trained on all of these pictures: on new ones it scores lower"
    if found == split.get("validation"):
        return f"these are the validation pictures of {escape(task.name)}, by which its weights were selected"
    return ""


def _changed_note(task: Any, data: Path) -> str:
    if not _split_of(task) or _trained_on(task) != data.resolve():
        return ""
    return (
        f"{escape(data)} is what {escape(task.name)} was trained on, and has changed since: which pictures were held "
        "out is not known, and the scores include those of training"
    )


def _trained_on(task: Any) -> Path | None:
    """The path of the training data, from the options of the run that the model belongs to."""
    if task.folder is None:
        return None
    try:
        options = json.loads((task.folder.parent / "config.json").read_text(encoding="utf-8"))
        return Path(options["source"]["data"]).resolve()
    except (OSError, ValueError, LookupError, TypeError):
        return None
