"""A labelled picture for the sheet of a data set."""

from saccade.data.folders import ImageFolder
from saccade.tasks.sample_sheet import SIDE, Example, thumbnail


def draw_example(dataset: ImageFolder, index: int) -> Example:
    """A picture with its class. Raises DataError if it cannot be read."""
    picture = dataset.picture(index, (SIDE, SIDE)).image
    label = int(dataset.labels[index])
    return Example(thumbnail(picture)[0], [dataset.classes[label], f"class {label}, {dataset.names[index]}"])
