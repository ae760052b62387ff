"""Styles change how a scene is drawn and nothing that it shows."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saccade.data.scenes import Scenes, Style, edited_scene, is_held_out_style, minimal_edit, restyled, sample_style
from saccade.data.scenes.colours import COLOURS
from saccade.data.scenes.random_stream import RandomStream
from saccade.data.scenes.style import STYLE
from saccade.data.scenes.style_drawings import DRAWINGS, Hatching, Mosaic, Outline
from saccade.data.scenes.style_palettes import PALETTES, Duotone, HueRotation, Pastel, Sepia
from saccade.errors import DataError

APART = {"objects": (2, 4), "apart": True}
GOLDEN = "15d5ba0bfe9524f5"
SIZES = [(32, 32), (61, 61), (37, 53), (131, 97)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("world", [APART, {}])
def test_the_default_style_is_the_scene_itself(size, world):
    scenes = Scenes(3, size, seed=2, **world)
    for i in range(3):
        assert np.array_equal(restyled(scenes, scenes.scene(i), Style()), scenes.scene(i).pixels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("drawing", DRAWINGS[1:])
def test_every_drawing_changes_pictures_of_any_size(size, drawing):
    scenes, stream = Scenes(3, size, seed=5), RandomStream(1, STYLE)
    for i in range(3):
        style = Style(drawing.draw(stream))
        picture = restyled(scenes, scenes.scene(i), style)
        assert picture.shape == (*size, 3)
        assert picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - scenes.scene(i).pixels).mean() > 1
        assert np.array_equal(picture, restyled(scenes, scenes.scene(i), style))


@pytest.mark.parametrize("palette", PALETTES[1:])
def test_every_palette_changes_pictures(palette):
    scenes = Scenes(1, 61, seed=5)
    picture = restyled(scenes, scenes.scene(0), Style(palette=palette.draw(RandomStream(3, STYLE))))
    assert np.abs(picture.astype(int) - scenes.scene(0).pixels).mean() > 3


def nearest_colours(picture, scene) -> list[str]:
    """The named colour nearest to the median colour of each object's most colourful pixels, which no ink or stroke
    covers."""
    table = np.array(list(COLOURS.values())) * 255
    found = []
    for mask in scene.objects.masks.numpy():
        pixels = picture[mask].astype(int)
        chroma = pixels.max(axis=1) - pixels.min(axis=1)
        median = np.median(pixels[chroma >= np.quantile(chroma, 0.6)], axis=0)
        found.append(list(COLOURS)[int(((table - median) ** 2).sum(axis=1).argmin())])
    return found


@pytest.mark.parametrize("drawing", DRAWINGS[1:])
def test_drawings_keep_the_colours_of_objects_about_as_plain_pictures_do(drawing):
    scenes, stream = Scenes(60, 67, seed=7, **APART), RandomStream(4, STYLE)
    plain, styled, count = 0, 0, 0
    for i in range(60):
        scene = scenes.scene(i)
        picture = restyled(scenes, scene, Style(drawing.draw(stream)))
        count += len(scene.colours)
        plain += sum(a == b for a, b in zip(nearest_colours(scene.pixels, scene), scene.colours, strict=True))
        styled += sum(a == b for a, b in zip(nearest_colours(picture, scene), scene.colours, strict=True))
    assert styled >= plain - 0.1 * count, (plain, styled, count)
    assert plain >= 0.75 * count


def test_palettes_that_replace_colours_say_so():
    scenes = Scenes(30, 67, seed=7, **APART)
    for palette in (Sepia, Duotone, HueRotation):
        stream, right, count = RandomStream(4, STYLE), 0, 0
        for i in range(30):
            scene, style = scenes.scene(i), Style(palette=palette.draw(stream))
            assert not style.keeps_colours
            found = nearest_colours(restyled(scenes, scene, style), scene)
            right, count = right + sum(a == b for a, b in zip(found, scene.colours, strict=True)), count + len(found)
        assert right < 0.6 * count


def test_sepia_and_duotone_depend_on_brightness_alone():
    for palette in (Sepia(0.8, 1.2), Duotone(0.1, 0.6, 0.2)):
        canvas = np.array([100.0, 100.0, 100.0], np.float32)[:, None, None].copy()
        equal = np.array([100 + 59.0, 100 - 30.0, 100.0], np.float32)[:, None, None].copy()  # the same luma
        palette.apply(canvas)
        palette.apply(equal)
        assert np.allclose(canvas, equal, atol=1e-3)


def test_rotation_keeps_greys_and_permutes_channels_at_120_degrees():
    third = 3.0**0.5  # the tangent of 60 degrees
    canvas = np.array([[[200.0, 90.0]], [[30.0, 90.0]], [[10.0, 90.0]]], np.float32)
    HueRotation(third).apply(canvas)
    assert np.allclose(canvas[:, 0, 0], [10, 200, 30], atol=1e-3)
    assert np.allclose(canvas[:, 0, 1], 90, atol=1e-3)


def test_a_mosaic_is_of_flat_cells_with_the_mean_of_their_pixels():
    canvas = np.random.default_rng(0).uniform(0, 255, (3, 7, 11)).astype(np.float32)
    mosaic = canvas.copy()
    Mosaic(2.0, 256.0).finish(mosaic, 1.0)
    assert (mosaic[:, 4:6, 6:8] == mosaic[:, 4:5, 6:7]).all()
    assert np.abs(mosaic[:, 4, 6] - canvas[:, 4:6, 6:8].mean(axis=(1, 2))).max() <= 1.5
    assert np.abs(mosaic[:, 6, 10] - canvas[:, 6, 10]).max() <= 1.5  # the last cell is cut by both borders


def test_the_contour_is_ink():
    scenes = Scenes(1, 127, seed=3, objects=(1, 1), apart=True)
    scene = scenes.scene(0)
    picture = restyled(scenes, scene, Style(Outline(0.0, 2.0, textured=False))).max(axis=2)
    inside = scene.instances > 0
    edge = inside & ~(np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1))
    assert np.median(picture[edge]) < 15 < 100 < np.median(picture[inside & ~edge])


def test_styles_are_drawn_from_all_families_without_repetition():
    stream = RandomStream(0, STYLE)
    styles = [sample_style(stream) for _ in range(600)]
    assert len(set(styles)) > 500  # only the plain ones with natural colours repeat
    assert {style.drawing.name for style in styles} == {each.name for each in DRAWINGS}
    assert {style.palette.name for style in styles} == {each.name for each in PALETTES}
    assert Style() in styles
    assert styles[:5] == [sample_style(again) for again in [RandomStream(0, STYLE)] for _ in range(5)]


def test_held_out_styles_are_drawn_only_on_request():
    stream = RandomStream(0, STYLE)
    seen, held = [sample_style(stream) for _ in range(2000)], [sample_style(stream, held_out=True) for _ in range(400)]
    assert not any(map(is_held_out_style, seen))
    assert all(map(is_held_out_style, held))
    hatched = [style.drawing for style in seen if isinstance(style.drawing, Hatching)]
    assert {int((each.tangent + 1) * 2) for each in hatched} == {0, 1, 2, 3}  # every range of angle
    assert {int(each.spacing * 2 - 5) for each in hatched} == {0, 1, 2, 3}  # and of spacing
    counts = Counter(style.drawing.name for style in held)
    assert all(counts[each.name] >= 5 for each in DRAWINGS)
    assert not is_held_out_style(Style())
    assert not is_held_out_style(Style(Outline(0, 1, False), Pastel(0.5)))


def test_an_edited_scene_is_refused():
    scenes = Scenes(20, 61, seed=4, **APART)
    for kind in ("colour", "shape", "relation"):
        for i in range(20):
            edit = minimal_edit(scenes.scene(i).description, RandomStream(i), kind)
            after = edited_scene(scenes, scenes.scene(i), edit) if edit else None
            if after is not None:
                break
        with pytest.raises(DataError, match="as it was drawn"):
            restyled(scenes, after, Style())


def fingerprint() -> str:
    """Of a picture in each drawing and each palette."""
    scenes, stream, digest = Scenes(1, (61, 53), seed=9), RandomStream(7, STYLE), hashlib.sha256()
    for drawing in DRAWINGS:
        digest.update(restyled(scenes, scenes.scene(0), Style(drawing.draw(stream))).tobytes())
    for palette in PALETTES:
        digest.update(restyled(scenes, scenes.scene(0), Style(palette=palette.draw(stream))).tobytes())
    return digest.hexdigest()[:16]


def test_a_style_is_the_same_on_every_machine():
    assert fingerprint() == GOLDEN


def test_vector_instructions_change_nothing():
    """numpy has other code for other processors; here the features of this one are disabled."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    script, here = "import test_style as t; print(t.fingerprint())", Path(__file__).parent
    message = subprocess.run([sys.executable, "-c", script], env=environment, cwd=here, capture_output=True, text=True)
    assert message.stdout.strip() == GOLDEN, message.stderr


@pytest.mark.parametrize("drawing", DRAWINGS[1:])
def test_sprites_are_drawn_in_styles(tmp_path, drawing):
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    picture.paste((240, 20, 20, 255), (5, 5, 35, 35))
    picture.save(tmp_path / "cat.png")
    scenes, changed = Scenes(8, 61, seed=1, sprites=tmp_path), 0
    for i in range(8):
        scene = scenes.scene(i)
        masks = scene.objects.masks.numpy()[scene.objects.labels.numpy() == scenes.classes.index("cat")]
        styled = restyled(scenes, scene, Style(drawing.draw(RandomStream(i, STYLE))))
        changed += sum(np.abs(styled[mask].astype(int) - scene.pixels[mask]).mean() > 3 for mask in masks)
    assert changed >= 5
