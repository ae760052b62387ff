"""A style that is borrowed: the attention written out, what changes nothing, and what is painted again."""

import numpy as np
import pytest
import torch

from saccade.errors import SaccadeError
from saccade.lens.attention.args import AttentionArgs
from saccade.lens.editing.edits import Site
from saccade.ops import attend
from saccade.tasks.generate.borrowed_style import _StyleKeys
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.look import trace_generation
from saccade.tasks.generate.settings import Settings

from . import generators
from .test_image_to_image import pixels, random_picture

RED, STYLE = "a red star", random_picture(24, 40)
FAST = {"seed": 3, "num_inference_steps": 3}


@pytest.fixture(scope="module")
def task():
    return generators.task()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 3.0])
def test_the_attention_to_own_patches_and_those_of_the_style(strength):
    """Two pictures and two terms: rows 0, 1, 4, 5 are the style."""
    generator = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(8, 3, 5, 7, dtype=torch.float64, generator=generator) for _ in range(3))
    arguments = _StyleKeys(2, strength).rewrite(AttentionArgs(q, k, v), Site("blocks.0.self_attention", 0, 0))
    found = attend(arguments.q, arguments.k, arguments.v, mask=arguments.mask)
    for row, style in ((2, 0), (3, 1), (6, 4), (7, 5)):
        scores = torch.cat([q[row] @ k[row].mT, q[row] @ k[style].mT], dim=-1) / 7**0.5
        powers = scores.exp() * torch.tensor([1.0] * 5 + [strength] * 5)
        expected = powers / powers.sum(-1, keepdim=True) @ torch.cat([v[row], v[style]], dim=1)
        torch.testing.assert_close(found[row], expected)
    for row in (0, 1, 4, 5):
        torch.testing.assert_close(found[row], attend(q[row : row + 1], k[row : row + 1], v[row : row + 1])[0])


def test_a_hidden_style_changes_nothing_and_others_do(task):
    [plain] = task.generate(RED, **FAST)
    [hidden] = task.generate(RED, style_image=STYLE, style_strength=0, **FAST)
    assert np.abs(pixels(plain.image) - pixels(hidden.image)).max() <= 1
    [shown] = task.generate(RED, style_image=STYLE, **FAST)
    [turned] = task.generate(RED, style_image=STYLE.rotate(180), **FAST)
    assert np.abs(pixels(plain.image) - pixels(shown.image)).max() > 3
    assert np.abs(pixels(turned.image) - pixels(shown.image)).max() > 3


def test_several_pictures_are_as_they_are_alone_also_from_a_start(task):
    photo = random_picture(56, 40)
    for options in ({}, {"image": photo, "strength": 0.7}):
        several = task.generate(RED, style_image=STYLE, n=3, negative_prompt="blue", **options, **FAST)
        [third] = task.generate(RED, style_image=STYLE, negative_prompt="blue", **options, **{**FAST, "seed": 5})
        assert np.abs(pixels(several[2].image) - pixels(third.image)).max() <= 1


def test_settings_say_so_and_paint_it_again(task):
    [first] = task.generate(RED, style_image=STYLE, style_strength=2, **FAST)
    read = Settings.parse(str(first.settings))
    assert read == first.settings
    assert read.style is not None
    assert (read.style.use, read.style.strength) == ("borrow", 2)
    originals = SourceImages(style=SourceImage.read(STYLE))
    [again] = task.generate_all([read], originals=originals)
    assert again.to_png() == first.to_png()
    with pytest.raises(SaccadeError, match="the page shows no borrowed style"):
        trace_generation(task, read, originals=originals)
