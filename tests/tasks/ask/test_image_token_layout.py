"""Where tokens of pictures lie: pictures are changed before the processor sees them, and the right tokens change."""

import dataclasses

import pytest
import torch
from PIL import Image

from saccade.tasks.ask import token_layouts
from saccade.tasks.ask.image_token_layout import ImageTokenLayout, LayoutError, ModelInputImages, SeenPicture
from saccade.tasks.ask.layout_verification import _WithoutAttention, input_embeddings, verify_layout
from saccade.tasks.ask.tiles import image_difference, merge_tiles
from saccade.tasks.ask.token_layouts import image_token_mask, square_grid

from .models import FAMILIES, picture


def tokens_of(task, inputs):
    """The tokens that words attend to, each made of its own pixels alone."""
    model, family = task.model, task.wrapper.family
    with torch.no_grad(), _WithoutAttention():
        if family in token_layouts.TOWERS:
            return model.get_submodule(token_layouts.TOWERS[family])(inputs["pixel_values"]).last_hidden_state[0]
        if family == "git":
            return model.git.image_encoder(inputs["pixel_values"]).last_hidden_state[0]
        if family == "blip-2":  # its places are those of the vision tower
            return model.vision_model(inputs["pixel_values"]).last_hidden_state[0]
        return input_embeddings(model, inputs)


def painted(image, box):
    """The picture with other colours in the middle of a box (shares of the picture)."""
    x0, y0, x1, y1 = (round(share * side) for share, side in zip(box, (*image.size, *image.size), strict=True))
    out = image.copy()
    out.paste(Image.eval(image.crop((x0, y0, x1, y1)), lambda value: 255 - value), (x0, y0))
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_a_place_is_where_the_picture_was_changed(task_of, family):
    task, image = task_of(family), picture(family)
    inputs = task.wrapper.prepare([image], "red")
    places, located, notes = task._places(inputs, [image])
    assert located, notes
    plain = tokens_of(task, inputs)
    tower = range(1, 1 + places.count) if family == "blip2" else None  # cls first
    for one in places.pictures:
        rows, columns = one.grid
        assert one.image.size == image.size  # so that places are shares of the picture
        for place in (0, columns - 1, columns * (rows // 2) + 1, rows * columns - 1):
            row, column = divmod(place, columns)
            box = (column / columns, row / rows, (column + 1) / columns, (row + 1) / rows)
            other = task.wrapper.prepare([painted(image, box)], "red")
            change = (tokens_of(task, other) - plain).abs().sum(dim=-1)
            own = torch.tensor(tower) if tower else one.tokens
            found_row, found_column = divmod(int(change[own].argmax()), columns)
            off = max(abs(found_row - row), abs(found_column - column))
            assert off <= (family == "florence2")  # its convolutions lean to the next place


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "idefics3", "donut", "trocr"])
def test_another_order_is_refused(task_of, family):
    task, image = task_of(family), picture(family)
    inputs = task.wrapper.prepare([image], "red")
    places = token_layouts.locate_image_tokens(task.model, task.wrapper.processor, inputs)
    for order in (lambda x: x.flip(0), lambda x: x.roll(1), lambda x: x[torch.randperm(len(x))]):
        wrong = [dataclasses.replace(one, tokens=order(one.tokens)) for one in places.pictures]
        with pytest.raises(LayoutError):
            verify_layout(lambda given: tokens_of(task, given), inputs, dataclasses.replace(places, pictures=wrong))
    verify_layout(lambda given: tokens_of(task, given), inputs, places)


def test_queries_are_no_places(task_of):
    task, image = task_of("blip2"), picture("blip2")
    inputs = task.wrapper.prepare([image], "red")
    with pytest.raises(LayoutError):
        token_layouts.locate_image_tokens(task.model, task.wrapper.processor, inputs)
    assert int(image_token_mask(task.model, inputs).sum()) == 4


def test_square_cells():
    assert square_grid((336, 336), 576) == (24, 24)
    assert square_grid((2560, 1920), 4800) == (80, 60)
    assert square_grid((224, 224), 32) is None
    assert square_grid((224, 224), 0) is None
    assert square_grid((20, 30), 7) is None


def test_tiles_are_put_together_only_where_that_is_certain():
    image = picture("internvl")
    width, height = image.size

    def tile(x0, y0, x1, y1, at):
        part = image.crop((x0, y0, x1, y1)).resize((56, 56))
        return SeenPicture(part, (56, 56), (2, 2), torch.arange(4) + 4 * at, lambda place: (place,), at)

    half = [(0, width // 2), (width // 2, width)]
    tiles = [tile(x0, 0, x1, height, i) for i, (x0, x1) in enumerate(half)]
    whole = tile(0, 0, width, height, 2)
    found = merge_tiles(ImageTokenLayout([*tiles, whole], 12, torch.ones(12)), [image]).pictures
    assert [(one.grid, one.part) for one in found] == [((2, 4), "detail"), ((2, 2), "overview")]
    assert found[0].tokens.tolist() == [0, 1, 4, 5, 2, 3, 6, 7]
    assert found[0].cell(6) == (2,)  # the third place of the second tile
    for wrong in ([tiles[1], tiles[0], whole], [*tiles]):
        with pytest.raises(LayoutError):
            merge_tiles(ImageTokenLayout(wrong, 12, torch.ones(12)), [image])
    flat = Image.new("RGB", (96, 64), "red")
    same = [dataclasses.replace(one, image=flat) for one in [*tiles, *tiles, whole]]
    with pytest.raises(LayoutError):
        merge_tiles(ImageTokenLayout(same, 20, torch.ones(20)), [flat])


def test_a_picture_is_shown_as_given_where_it_was_all_seen_or_its_middle():
    image = picture("qwen2_vl")  # 168 x 112
    middle = image.crop((28, 0, 140, 112))
    padded = Image.new("RGB", (168, 168), "black")
    padded.paste(image, (0, 28))

    def shown(seen):
        one = SeenPicture(seen.resize((56, 56)), (56, 56), (2, 2), torch.arange(4), lambda place: ())
        return merge_tiles(ImageTokenLayout([one], 4, torch.ones(4)), [image]).pictures[0].image

    other = ImageTokenLayout(
        [SeenPicture(middle, (56, 56), (2, 2), torch.arange(4), lambda place: ())], 4, torch.ones(4)
    )
    with pytest.raises(LayoutError, match="not the picture"):
        merge_tiles(other, [image], stretched=True)
    assert shown(image).size == (168, 112)
    assert shown(middle).size == (112, 112)
    assert image_difference(shown(middle), middle) < 1
    assert shown(padded).size == (56, 56)


def test_pixels_are_those_of_the_picture():
    class Processor:
        image_mean, image_std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]

    plain = torch.randint(0, 256, (3, 5, 7))
    mean, std = torch.tensor(Processor.image_mean).view(3, 1, 1), torch.tensor(Processor.image_std).view(3, 1, 1)
    values = (plain / 255 - mean) / std
    image = ModelInputImages({"pixel_values": values[None]}, Processor()).image(values)
    assert image.size == (7, 5)
    assert list(image.getpixel((6, 4))) == plain[:, 4, 6].tolist()
