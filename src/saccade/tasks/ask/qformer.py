"""Models that read a picture through a few queries (Q-Former: BLIP-2, Li et al. 2023): their image tokens are no
places, but each query has attended to places.
"""

from typing import Any

import torch
from torch import Tensor

from saccade.lens import watch
from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, ModelInputImages
from saccade.tasks.ask.layout_verification import input_embeddings
from saccade.tasks.ask.token_layouts import image_token_mask, locate_encoder_tokens


def locate_query_tokens(model: Any, processor: Any, inputs: dict[str, Tensor]) -> ImageTokenLayout:
    """The places of the vision tower's tokens, and what each query has of each: the mean over layers and heads of its
    cross-attention to them. What a word attends to is then estimated as the product of both.

    Raises LayoutError for a model without such queries, or whose attention was not seen.
    """
    if not hasattr(model, "qformer"):
        raise LayoutError("it has no Q-Former")
    tower = locate_encoder_tokens(model.vision_model, inputs, ModelInputImages(inputs, processor.image_processor))
    image = image_token_mask(model, inputs)
    count = int(image.sum())
    with watch(model, only="qformer.*") as trace, torch.no_grad():
        input_embeddings(model, inputs)
    calls = [call for call in trace if call.kind == "cross" and call.shape[3] == tower.sources]
    maps = [call.rows(range(count))[0].mean(dim=0).float().cpu() for call in calls if call.shape[2] >= count]
    if not maps or any(call.shape[0] != 1 for call in calls):
        raise LayoutError("what its queries attend to was not seen")
    there = tower.token_places() >= 0
    found = torch.stack(maps).mean(dim=0)[:, there]
    mix = torch.zeros(len(image), tower.count)
    mix[image.cpu()] = torch.zeros(count, tower.count).index_add_(1, tower.token_places()[there], found)
    note = (
        f"it reads pictures through {count} queries: a word's regions are estimated, as its weight on each query times "
        "the mean cross-attention of that query"
    )
    return ImageTokenLayout(tower.pictures, len(image), image.float().cpu(), mix, [note])
