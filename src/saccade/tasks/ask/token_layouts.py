"""Where the tokens of pictures lie in what a model that writes reads.

Counts and sizes give a layout, which is then confirmed on the model (confirm.py), or none at all.
"""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, ModelInputImages, SeenPicture
from saccade.tasks.ask.layout_verification import input_embeddings, verify_layout

# The module that encodes pictures, of families whose words attend to all of its tokens and no others.
TOWERS = {"vision-encoder-decoder": "encoder", "blip": "vision_model"}
POOLED_FIRST = ("florence2",)  # each picture's tokens begin with their mean
MOST_SPECIAL = 8  # tokens of an encoder that are no places: cls, distillation, registers


def locate_image_tokens(model: Any, processor: Any, inputs: dict[str, Tensor]) -> ImageTokenLayout:
    """The places of the pictures among what the model's words attend to: the tokens of its prompt, or those of the
    encoder of pictures that its decoder reads.

    Raises LayoutError where the places are not known, or where the model does not confirm them.
    """
    pixels, family = ModelInputImages(inputs, processor.image_processor), model.config.model_type
    if family in TOWERS:
        return locate_encoder_tokens(model.get_submodule(TOWERS[family]), inputs, pixels)
    if family == "git":  # tokens of the picture, then those of text, which the ids alone count
        places = locate_encoder_tokens(model.git.image_encoder, inputs, pixels)
        text = inputs["input_ids"].shape[1]
        return ImageTokenLayout(places.pictures, places.sources + text, torch.cat([places.image, torch.zeros(text)]))
    image = image_token_mask(model, inputs)
    at = image.nonzero()[:, 0].cpu()
    if "image_grid_thw" in inputs:
        seen = _merged_patches(model.config, inputs, pixels, at)
    elif pixels.values.ndim == 5 and "image_sizes" in inputs and hasattr(model.model, "pack_image_features"):
        seen = _packed(model.model, inputs, pixels, at)
    else:
        seen = _squares(pixels, at, 1 if family in POOLED_FIRST else 0)
    places = ImageTokenLayout(list(seen), len(image), image.float().cpu())
    verify_layout(lambda given: input_embeddings(model, given), inputs, places)
    return places


def locate_encoder_tokens(tower: Any, inputs: dict[str, Tensor], pixels: ModelInputImages) -> ImageTokenLayout:
    """All tokens of an encoder of pictures: those of special use, then square cells row by row."""

    def embed(given: dict[str, Tensor]) -> Tensor:
        return tower(given["pixel_values"]).last_hidden_state[0]

    with torch.no_grad():
        count = len(embed(inputs))
    reasons = []
    for special in range(MOST_SPECIAL + 1):
        try:
            places = ImageTokenLayout(list(_squares(pixels, torch.arange(count), special)), count, torch.ones(count))
            verify_layout(embed, inputs, places)
            return places
        except LayoutError as error:
            reasons.append(str(error))
    raise LayoutError(reasons[0])


def image_token_mask(model: Any, inputs: dict[str, Tensor]) -> Bool[Tensor, "m"]:
    """Which tokens of the prompt come from pictures. Raises LayoutError if none is known to."""
    named = (getattr(model.config, name, None) for name in ("image_token_id", "image_token_index"))
    token = next((each for each in named if isinstance(each, int)), None)
    if token is None or "input_ids" not in inputs:
        raise LayoutError("its config does not name the token that stands for a part of a picture")
    image = inputs["input_ids"][0] == token
    if not bool(image.any()):
        raise LayoutError(f"the prompt has no token {token}, which stands for a part of a picture")
    return image


def square_grid(pixels: tuple[int, int], tokens: int) -> tuple[int, int] | None:
    """Rows and columns if tokens are square cells of whole pixels, row by row; None if they cannot be."""
    height, width = pixels
    side = math.isqrt(height * width // tokens) if tokens > 0 else 0
    fits = side > 0 and side * side * tokens == height * width and height % side == 0 and width % side == 0
    return (height // side, width // side) if fits else None


def _squares(pixels: ModelInputImages, at: Int64[Tensor, "t"], special: int = 0) -> Iterator[SeenPicture]:
    """Every picture or tile of the input has as many tokens: some of special use, then square cells row by row."""
    values = pixels.values
    if values.ndim < 4:
        raise LayoutError(f"its pictures go in as lists of patches {tuple(values.shape)}, whose order is not known")
    tiles = values.flatten(0, -4)
    per = len(at) // len(tiles)
    grid = square_grid((tiles.shape[-2], tiles.shape[-1]), per - special)
    if len(at) % len(tiles) or grid is None:
        raise LayoutError(
            f"{len(at)} tokens stand for {len(tiles)} pictures or parts of {tiles.shape[-1]} x {tiles.shape[-2]} "
            "pixels, which are no grid of square cells"
        )
    for i, tile in enumerate(tiles):
        lead = (0, i) if values.ndim == 5 else (i,)
        own = at[i * per + special : (i + 1) * per]
        yield SeenPicture(
            pixels.image(tile), (tile.shape[-2], tile.shape[-1]), grid, own, _square_cell(lead, tile, grid), i
        )


def _square_cell(lead: tuple[int, ...], tile: Tensor, grid: tuple[int, int]) -> Callable[[int], tuple[Any, ...]]:
    side = tile.shape[-2] // grid[0]

    def cell(place: int) -> tuple[Any, ...]:
        row, column = divmod(place, grid[1])
        return (*lead, slice(None), slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))

    return cell


def _merged_patches(
    config: Any, inputs: dict[str, Tensor], pixels: ModelInputImages, at: Int64[Tensor, "t"]
) -> Iterator[SeenPicture]:
    """Pictures of any size as a list of patches, block by block, each block of merge x merge patches a token
    (Qwen2-VL, Wang et al. 2024, section 2.1)."""
    merge, patch = (getattr(config.vision_config, name, None) for name in ("spatial_merge_size", "patch_size"))
    if not isinstance(merge, int) or not isinstance(patch, int):
        raise LayoutError("its config does not say how many patches make a token of a picture")
    grids = inputs["image_grid_thw"].cpu().tolist()
    block = merge * merge
    if sum(math.prod(grid) for grid in grids) != len(at) * block or any(time != 1 for time, _, _ in grids):
        raise LayoutError(f"{len(at)} tokens do not stand for pictures of {grids} patches, {block} to a token")
    first = 0
    for i, (_, rows, columns) in enumerate(grids):
        grid, count = (rows // merge, columns // merge), rows * columns
        own = pixels.values[first : first + count].view(*grid, merge, merge, 3, -1, patch, patch)[..., 0, :, :]
        image = pixels.image(own.permute(4, 0, 2, 5, 1, 3, 6).reshape(3, rows * patch, columns * patch))

        def cell(place: int, first: int = first) -> tuple[Any, ...]:
            return (slice(first + place * block, first + (place + 1) * block),)

        yield SeenPicture(
            image, (rows * patch, columns * patch), grid, at[first // block : (first + count) // block], cell, i
        )
        first += count


def _packed(
    model: Any, inputs: dict[str, Tensor], pixels: ModelInputImages, at: Int64[Tensor, "t"]
) -> Iterator[SeenPicture]:
    """The whole picture small, and tiles of it put together, whose padding is cut off and whose rows end in a token
    of their own (LLaVA-NeXT). The model's own function puts numbers in order in place of features."""
    tiles, side = pixels.values.shape[1], pixels.values.shape[-1]
    per = (side // model.config.vision_config.patch_size) ** 2
    numbers = torch.arange(tiles * per, dtype=torch.float64).view(tiles, per, 1)
    takes = inspect.signature(model.pack_image_features).parameters
    more = {"vision_feature_select_strategy": "default"} if "vision_feature_select_strategy" in takes else {}
    first = 0
    for i, size in enumerate(inputs["image_sizes"].cpu()):
        packed, _ = model.pack_image_features([numbers], size[None], image_newline=torch.tensor([-1.0]), **more)
        order = packed[0][:, 0]
        if not bool((order == order.round()).all()) or first + len(order) > len(at):
            raise LayoutError("its tokens are interpolated, or not those of its tiles")
        yield from _packed_one(order.long(), pixels, at[first : first + len(order)], i, per)
        first += len(order)
    if first != len(at):
        raise LayoutError(f"its tiles account for {first} of {len(at)} tokens")


def _packed_one(
    order: Int64[Tensor, "t"], pixels: ModelInputImages, at: Int64[Tensor, "t"], i: int, per: int
) -> Iterator[SeenPicture]:
    tiles, side = pixels.values[i], math.isqrt(per)
    stride = tiles.shape[-1] // side
    rest, own = order[per:], at[per:]
    if len(rest):
        columns = int((rest == -1).nonzero()[0, 0])
        table = rest.view(-1, columns + 1)[:, :-1]
        tile, row, column = table // per, table % per // side, table % side
        blocks = tiles.unfold(2, stride, stride).unfold(3, stride, stride)  # (tiles 3 rows columns stride stride)
        parts = blocks[tile, :, row, column]  # (rows columns 3 stride stride)

        def fine(place: int) -> tuple[Any, ...]:
            y, x = divmod(place, columns)
            return _square_cell((i, int(tile[y, x])), tiles[0], (side, side))(int(row[y, x]) * side + int(column[y, x]))

        image = pixels.image(parts.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2))
        grid = (table.shape[0], columns)
        yield SeenPicture(
            image,
            (image.height, image.width),
            grid,
            own.view(-1, columns + 1)[:, :-1].flatten(),
            fine,
            i,
            part="detail",
        )
    cell = _square_cell((i, 0), tiles[0], (side, side))
    seen = (tiles.shape[-2], tiles.shape[-1])
    part = "overview" if len(rest) else ""
    yield SeenPicture(pixels.image(tiles[0]), seen, (side, side), at[:per], cell, i, part)
