"""What a classifier knows, and how far its answer can be relied on, in sentences."""

from typing import Any

from saccade.tasks.classify.ood import ACCEPTED
from saccade.tasks.classify.result import Classification
from saccade.tasks.known_classes import format_class_list


def describe_classes(task: Any) -> str:
    """All classes of a model, or of many some."""
    if len(task.labels) == 1:
        return f"{task.name} answers with one thing only: {task.labels[0]}"
    return f"{task.name} answers with one of {format_class_list(task, 'things')}"


def describe_confidence(prediction: Classification, classes: int) -> list[str]:
    """Reasons to doubt the answer, if any. classes: how many the model knows."""
    found, confidence = [], prediction.confidence
    if confidence is None:
        return []
    if confidence.unsure:
        pairs = list(zip(prediction.labels, prediction.probabilities, strict=True))[:2]
        found.append("not sure: " + ", ".join(f"{label} {share:.0%}" for label, share in pairs))
    if confidence.out_of_distribution:
        found.append(
            f"this is unlike its training pictures (score {confidence.ood_score:.2f}; {ACCEPTED:.0%} of its own are "
            f"below {confidence.ood_threshold:.2f}): it may be none of its {classes} things"
        )
    return found


def missing_ood_reason(task: Any) -> str:
    """Why the answers of a classifier have no out-of-distribution score; "" where they have one."""
    ood = getattr(task, "ood", None)
    if ood is None:
        return (
            f"{task.name} keeps no statistics of its training pictures: only the margin between its first two classes "
            "says whether it is sure"
        )
    if getattr(task, "ood_at_this_size", ood) is not None:
        return ""
    (height, width), (rows, columns) = task.preprocess.size, ood.size
    return f"no out-of-distribution score at {width} x {height} pixels: it holds for {columns} x {rows}"
