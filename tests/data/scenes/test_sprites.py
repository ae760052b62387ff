"""Sprites of a user's own: read, refused, and in the picture."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from saccade.data.scenes import SHAPES, Scenes
from saccade.data.scenes.sprites import read_sprites
from saccade.errors import DataError


def picture(path, colour, size=(50, 31), box=(4, 3, 45, 27)):
    """A rectangle of one colour in a transparent picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGBA", size, (0, 255, 0, 0))
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=colour)
    image.save(path)


@pytest.fixture
def folder(tmp_path):
    picture(tmp_path / "cat" / "1.png", (240, 20, 20, 255))
    picture(tmp_path / "cat" / "more" / "2.png", (30, 60, 210, 255))
    picture(tmp_path / "고양이.PNG", (250, 250, 250, 255))
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_names_colours_and_edges(folder):
    sprites = read_sprites(folder)
    assert [(sprite.name, sprite.colour) for sprite in sprites] == [
        ("cat", "red"),
        ("cat", "blue"),
        ("고양이", "white"),
    ]
    for sprite in sprites:
        assert sprite.levels[0].shape == (24 + 2, 41 + 2, 4)  # what is transparent around it is cut off
        assert [level.shape[:2] for level in sprite.levels[1:]] == [(14, 23), (8, 13), (5, 8)]


def test_a_sprite_of_many_colours_has_none(tmp_path):
    half = Image.new("RGBA", (40, 40), (250, 20, 20, 255))
    half.paste((20, 60, 220, 255), (0, 0, 40, 20))
    half.save(tmp_path / "flag.png")
    (flag,) = read_sprites(tmp_path)
    assert flag.colour == ""
    scenes = Scenes(30, sprites=tmp_path)
    message = [scenes.scene(i).captions for i in range(30)]
    assert any("a flag" in caption["en"].lower() for caption in message)
    for i in range(30):
        scene = scenes.scene(i)
        for a, r, b in scene.objects.relations.tolist():
            assert scenes.relations[r] != "same colour" or scene.colours[a] == scene.colours[b] != ""


def test_samples_are_the_sprite_s_own_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (sprite,) = read_sprites(tmp_path)
    v, u = np.meshgrid((np.arange(16) + 0.5 - 8) / 12, (np.arange(24) + 0.5 - 12) / 12, indexing="ij")
    alpha, colours = sprite.sample(u.astype(np.float32), v.astype(np.float32), radius=12)
    np.testing.assert_allclose(alpha, 1, atol=1e-5)
    np.testing.assert_allclose(colours.transpose(1, 2, 0) * 255, pixels[..., :3], atol=0.01)
    small, _ = sprite.sample(u.astype(np.float32) * 3, v.astype(np.float32) * 3, radius=4)
    assert (small[[0, -1]] == 0).all()  # nothing beyond its edges
    assert (small[:, [0, -1]] == 0).all()


def test_sprites_stand_in_scenes(folder):
    scenes = Scenes(40, 96, sprites=folder)
    assert scenes.classes == [*SHAPES, "cat", "고양이"]
    found = {}
    for i in range(40):
        scene = scenes.scene(i)
        for label, colour, mask in zip(
            scene.objects.labels.tolist(), scene.colours, scene.objects.masks.numpy(), strict=True
        ):
            found.setdefault((scenes.classes[label], colour), []).append(scene.pixels[mask].mean(axis=0))
    assert ("고양이", "white") in found
    assert np.mean(found["cat", "red"], axis=0).argmax() == 0
    assert np.mean(found["cat", "blue"], axis=0).argmax() == 2
    sprites = sum(len(seen) for (name, _), seen in found.items() if name not in SHAPES)
    assert 0.3 < sprites / sum(map(len, found.values())) < 0.6


def test_fresh_scenes_have_the_same_sprites(folder):
    scenes = Scenes(1, 64, sprites=folder)
    known = scenes.sprites
    drawn = [scenes.fresh((48, 80), seed) for seed in range(20)]
    assert scenes.sprites is known
    assert any(label >= len(SHAPES) for scene in drawn for label in scene.objects.labels.tolist())
    expected = Scenes(1, (48, 80), seed=7, sprites=folder).scene(0)
    assert np.array_equal(drawn[7].pixels, expected.pixels)
    assert drawn[7].captions == expected.captions


def test_a_sprite_may_be_called_like_a_shape(tmp_path):
    picture(tmp_path / "ring.png", (240, 20, 20, 255))
    scenes = Scenes(20, 64, sprites=tmp_path)
    assert scenes.classes == list(SHAPES)
    assert sum(len(scenes.objects(i)) for i in range(20)) > 60


def test_a_very_thin_sprite_is_left_out_where_too_little_of_it_could_be_seen(tmp_path):
    picture(tmp_path / "line.png", (240, 20, 20, 255), size=(300, 3), box=(0, 1, 300, 2))
    scenes = Scenes(20, 128, sprites=tmp_path)
    for i in range(20):
        assert scenes.objects(i).masks.sum(dim=(1, 2)).min() >= 40


def test_large_sprites_are_made_smaller(tmp_path):
    picture(tmp_path / "a.png", (240, 20, 20, 255), size=(1500, 701), box=(0, 0, 1500, 701))
    (sprite,) = read_sprites(tmp_path)
    assert sprite.levels[0].shape == (176 + 2, 375 + 2, 4)
    assert sprite.colour == "red"


def test_films_have_sprites_too(folder):
    scenes = Scenes(12, 64, sprites=folder)
    names = {name for i in range(12) for name in scenes.film(i, 2).names}
    assert names & {"cat", "고양이"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: None, "is not a folder"),
        (lambda at: at.mkdir(), r"holds no sprites \(found: nothing\)"),
        (lambda at: (at.mkdir(), (at / "a.txt").write_text("x")), r"holds no sprites \(found: 1 .txt\)"),
        (lambda at: (at.mkdir(), (at / "a.png").write_bytes(b"\x89PNG\r\n")), r"a\.png cannot be read"),
        (lambda at: (at.mkdir(), (at / "a.png").write_bytes(b"")), r"a\.png cannot be read"),
        (lambda at: picture(at / "a.png", (9, 9, 9, 20)), r"a\.png is transparent all over"),
        (lambda at: [picture(at / f"{i}.png", (9, 9, 9, 255)) for i in range(246)], "256 classes with the shapes"),
    ],
)
def test_folders_that_are_refused(tmp_path, make, message):
    make(tmp_path / "mine")
    with pytest.raises(DataError, match=message):
        Scenes(1, sprites=tmp_path / "mine")


def test_a_truncated_sprite_is_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 4)).astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    with pytest.raises(DataError, match=r"a\.png cannot be read"):
        Scenes(1, sprites=tmp_path)
