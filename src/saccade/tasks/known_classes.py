"""What a model can name, in a sentence before its answers."""

from typing import Any

from saccade.tasks.bundled_models import is_bundled

LISTED, NAMED = 12, 5  # classes that are listed completely; that are named of more


def format_class_list(task: Any, things: str) -> str:
    """ "3 things: a, b, c": all classes of a model, or of many some, evenly spaced, and where all are. things: what its
    classes are, in the plural."""
    labels = task.labels
    if len(labels) <= LISTED:
        return f"{len(labels)} {things}: {', '.join(labels)}"
    some = ", ".join(labels[i * len(labels) // NAMED] for i in range(NAMED))
    folder = getattr(task, "folder", None)
    model = task.name if folder is None or is_bundled(folder) else folder
    return f"{len(labels)} {things}, such as {some} (all: saccade models {model})"


def synthetic_data_warning(task: Any) -> str:
    """A warning about photographs, for a model that was trained on drawn scenes; "" for others."""
    trained_on = str(getattr(task, "card", {}).get("data", ""))
    if not trained_on.startswith("scenes"):
        return ""
    return f"{task.name} was trained on drawn scenes: what it answers to a photograph means little"
