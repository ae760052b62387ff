"""How a picture goes into a model: as it is, as a list of patches, or in parts (tiles, crops, two pictures)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from saccade.checkpoints.inputs import ModelInput
from saccade.errors import SaccadeError
from saccade.studio.inputs.seen_picture import seen_picture
from saccade.studio.places.follow import PlaceFollower
from saccade.studio.places.patch_lists import noises, patch_places, probe_processor
from saccade.studio.places.tensor_places import PADDING, Grids

Prepare = Callable[[Image.Image], ModelInput]
MOST_PARTS = 64
SHOWN = 1024  # longest side in pixels of a picture on a page


@dataclass(frozen=True)
class InputLayout:
    """What follows a picture through a model, and how the page draws it. pictures: its parts as the model sees them.
    size: (height, width) in pixels of all parts as they are laid out."""

    follower: PlaceFollower
    pictures: Sequence[Image.Image]
    size: tuple[int, int]
    how: str = ""

    def shown(self) -> Image.Image:
        """The part of each picture that patches cover, laid out as the places of the grids are."""
        table = self.follower.table
        pictures = [table.covered_part(each) for each in self.pictures]
        if len(pictures) == 1:
            return pictures[0]
        width, height = max(each.width for each in pictures), max(each.height for each in pictures)
        canvas = Image.new("RGB", (table.grids.across * width, table.grids.rows_of_parts * height), (128, 128, 128))
        for i, each in enumerate(pictures):
            row, column = divmod(i, table.grids.across)
            canvas.paste(each.convert("RGB").resize((width, height)), (column * width, row * height))
        factor = min(1.0, SHOWN / max(canvas.size))
        return canvas.resize((round(canvas.width * factor), round(canvas.height * factor)))


def possible_input_layouts(prepare: Prepare, image: Image.Image, pixels: Tensor, name: str) -> Iterator[InputLayout]:
    """The ways to read an input: that of which a model's attention can be placed is the right one. Raises SaccadeError
    if there is none."""
    if pixels.ndim == 4 and len(pixels) == 1:
        shown = seen_picture(prepare, image, pixels)
        yield InputLayout(PlaceFollower(pixels), [shown], (pixels.shape[-2], pixels.shape[-1]))
        return
    reasons = []
    for reads in (_patches, _parts):
        try:
            found = reads(prepare, image, pixels)
        except SaccadeError as error:
            reasons.append(str(error))
        else:
            yield found
    if len(reasons) == 2:
        raise SaccadeError(f"{name} takes a picture as {tuple(pixels.shape)}, whose places are not known: {reasons[0]}")


def _patches(prepare: Prepare, image: Image.Image, pixels: Tensor) -> InputLayout:
    if pixels.ndim > 4 or (pixels.ndim == 3 and len(pixels) != 1):
        raise SaccadeError("its input is no list of patches of one picture")
    grids = Grids()
    places, (rows, columns) = patch_places(prepare, image, pixels, grids)
    numbers = pixels.shape[-1] if pixels.ndim <= 3 else pixels[0].numel()
    side = next((round((numbers / n) ** 0.5) for n in (3, 6) if round((numbers / n) ** 0.5) ** 2 * n == numbers), 16)
    height, width = rows * side, columns * side
    factor = min(1.0, SHOWN / max(height, width, *image.size))
    shown = image.convert("RGB").resize((max(1, round(width * factor)), max(1, round(height * factor))))
    return InputLayout(PlaceFollower(pixels, places, grids), [shown], (height, width))


def _parts(prepare: Prepare, image: Image.Image, pixels: Tensor) -> InputLayout:
    if pixels.ndim < 4 or pixels.shape[-3] not in (1, 3):
        raise SaccadeError("its input has no parts with channels, rows and columns")
    count = pixels.shape[:-3].numel()
    if count > MOST_PARTS:
        raise SaccadeError(f"its input has {count} parts")
    real, made = _real(prepare, image, pixels)
    height, width = pixels.shape[-2:]
    grids = Grids(len(real))
    places = torch.full((count, 1, height, width), PADDING, dtype=torch.int32)
    for number, part in enumerate(real):
        places[part, 0] = grids.codes(height, width, number)
    follower = PlaceFollower(pixels, places.view(*pixels.shape[:-3], 1, height, width), grids)
    flat = pixels.flatten(0, -4)
    # parts that were prepared before (a second picture) are undone as those that are made of this one
    like = {part: part if part in made else next(iter(made), part) for part in real}
    pictures = [seen_picture(_only(prepare, pixels, like[part]), image, flat[part, None]) for part in real]
    how = f"the model takes the image as {count} parts of {width} x {height} pixels, drawn here row by row"
    if len(made) < len(real) == count:
        how = f"the model takes {count} images of {width} x {height} pixels together, drawn here row by row"
    if len(real) < count:
        how += f"; {count - len(real)} of them are padding, and left out"
    return InputLayout(follower, pictures, (grids.rows_of_parts * height, grids.across * width), how)


def _real(prepare: Prepare, image: Image.Image, pixels: Tensor) -> tuple[list[int], list[int]]:
    """The parts that are no padding, and those that are made of the picture: other pixels of it change these. The
    others of the former are not of one colour, as another picture is that was prepared before."""
    noise = [probe_processor(prepare, each, pixels).flatten(0, -4).flatten(1) for each in noises(image.size)]
    channels = pixels.detach().float().cpu().flatten(0, -4).flatten(2)
    made = (noise[0] != noise[1]).any(1)
    real = made | (channels.amax(2) > channels.amin(2)).any(1)
    if not bool(real.any()):
        raise SaccadeError("its input is blank")
    return real.nonzero().flatten().tolist(), made.nonzero().flatten().tolist()


def _only(prepare: Prepare, pixels: Tensor, part: int) -> Prepare:
    """The same for one part."""
    return lambda image: probe_processor(prepare, image, pixels).flatten(0, -4)[part, None]
