"""A picture with its mask for the sheet of a data set."""

import numpy as np
import torch
from PIL import Image

from saccade.data.segments import IGNORE_INDEX, SegmentSet
from saccade.tasks.drawing import PAPER
from saccade.tasks.sample_sheet import Example, thumbnail
from saccade.tasks.segment.colours import resolve_colours
from saccade.tasks.segment.draw import (
    class_shares,
    draw_legend,
    overlay_classes,
    percent,
    transparent_classes,
    validate_mask,
)

MOST_NAMED = 6  # classes in the legend of a picture


def draw_example(dataset: SegmentSet, index: int) -> Example:
    """A picture under the colours of its classes, with their outlines and their shares of the pixels. Raises DataError
    if it cannot be read."""
    picture, mask = dataset.picture(index).image, dataset.mask(index)
    validate_mask(mask, len(dataset.classes), picture.size)
    colours, bare = resolve_colours(dataset.classes, None), transparent_classes(dataset.classes, None)
    canvas, _ = thumbnail(picture)
    indices = np.asarray(Image.fromarray(mask.numpy()).resize(canvas.size, Image.Resampling.NEAREST))
    drawn = overlay_classes(canvas, indices, colours, bare, 0.5, 1)
    found = class_shares(torch.bincount(mask.flatten().long(), minlength=IGNORE_INDEX + 1).tolist(), dataset.classes)
    lines = [(i, f"{name}  {percent(share)}") for i, name, share in found[:MOST_NAMED]]
    legend = draw_legend(lines, colours, bare, drawn.width, 0.8)
    sheet = Image.new("RGB", (max(drawn.width, legend.width), drawn.height + legend.height), PAPER)
    sheet.paste(drawn, (0, 0))
    sheet.paste(legend, (0, drawn.height))
    more = f", {len(found) - MOST_NAMED} more classes" if len(found) > MOST_NAMED else ""
    ignored = all(i == IGNORE_INDEX for i, *_ in found)
    return Example(sheet, [f"{dataset.names[index]}{more}"], wrong=ignored)
