"""Generators that are trained on pairs of pictures and on style sets: what their samples are."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from saccade.data.pairs import StyleSet, TwoFolders
from saccade.data.pairs.splits import HoldOut, split_by_file
from saccade.data.preprocess import Preprocess
from saccade.device import Device
from saccade.errors import DataError, UsageError
from saccade.tasks.generate.batches import ABSENT
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training import GenerateTraining
from saccade.tasks.generate.training_pairs import PairsToPaint
from saccade.tasks.generate.training_styles import StylesToPaint

TINY = {"size": 16, "width": 32, "depth": 2, "text_width": 32, "text_depth": 1}
ALL = GenerateRecipe(**TINY, source_dropout=0)
DRAWN = {"ink": range(7), "oil": range(2, 11), "wax": (0, 4, 17)}
SIZE = (16, 16)


def picture(*seed: int, size=(17, 23)) -> Image.Image:
    """Noise, its rows and columns in `size`."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def shown(*seed: int) -> torch.Tensor:
    """`picture` as a generator is given it."""
    return torch.from_numpy(np.array(Preprocess(SIZE, "crop").resize_and_crop(picture(*seed)))).permute(2, 0, 1)


@pytest.fixture
def pairs(tmp_path) -> TwoFolders:
    """Eleven pairs; the even ones have captions."""
    for i, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        for n in range(11):
            picture(i, n).save(tmp_path / folder / f"{n}.png")
            if folder == "b" and n % 2 == 0:
                (tmp_path / folder / f"{n}.txt").write_text(f"number {n}\nnumeral {n}")
    return TwoFolders(tmp_path / "a", tmp_path / "b", str, "skip")


@pytest.fixture
def styles(tmp_path) -> StyleSet:
    for i, (style, numbers) in enumerate(DRAWN.items()):
        (tmp_path / "set" / style).mkdir(parents=True)
        for n in numbers:
            picture(i, n).save(tmp_path / "set" / style / f"{n}.png")
            if n % 2 == 0:
                (tmp_path / "set" / style / f"{n}.txt").write_text(f"number {n}")
    return StyleSet(tmp_path / "set", str)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("budget", [1 << 30, 0])
def test_samples_of_pairs_are_their_pixels_and_captions(pairs, budget):
    source = PairsToPaint(pairs, ALL, SIZE, 2, budget)
    assert len(source) == 11
    samples = source.samples(torch.tensor([4, 9, 0, 1, 2]), SIZE, generator())
    expected = [pairs.stems[i] for i in (4, 4, 9, 9, 0)]
    assert torch.equal(samples.pictures[:, 0], torch.stack([shown(1, int(n)) for n in expected]))
    assert torch.equal(samples.sources["picture"].pixels, torch.stack([shown(0, int(n)) for n in expected]))
    assert samples.sources["picture"].present.all()
    for n, text, captioned in zip(expected, samples.captions, samples.captioned.tolist(), strict=True):
        assert captioned is (int(n) % 2 == 0)
        assert text in (f"number {n}", f"numeral {n}") if captioned else text == ABSENT


def test_pictures_that_do_not_fit_are_left_out(pairs, tmp_path):
    picture(3, size=(17, 19)).save(tmp_path / "b" / "3.png")
    (tmp_path / "a" / "5.png").write_bytes(b"no picture")
    source = PairsToPaint(pairs, ALL, SIZE, 1)
    assert len(source) == 9
    assert sorted(pairs.skipped) == ["b/3.png", "b/5.png"]
    samples = source.samples(torch.tensor([3]), SIZE, generator())
    assert torch.equal(samples.pictures[0, 0], shown(1, 4))
    strict = TwoFolders(tmp_path / "a", tmp_path / "b", str, "fail")
    with pytest.raises(DataError, match=r"the same aspect expected|not a picture"):
        PairsToPaint(strict, ALL, SIZE, 1)


def test_some_pictures_to_paint_from_are_left_out(styles):
    source = StylesToPaint(styles, ALL.model_copy(update={"source_dropout": 0.3}), SIZE, 1)
    present = [source.samples(torch.arange(len(source)), SIZE, generator(seed)).sources for seed in range(60)]
    for name in ("picture", "style"):
        share = torch.cat([each[name].present for each in present]).float().mean().item()
        assert share == pytest.approx(0.7, abs=0.05)


def origin(pixels: torch.Tensor) -> tuple[str, int]:
    """Style and content of a picture."""
    for i, (style, numbers) in enumerate(DRAWN.items()):
        for n in numbers:
            if torch.equal(pixels, shown(i, n)):
                return style, n
    raise AssertionError("a picture that is in no folder")


def test_samples_of_styles_show_the_content_in_another_style_and_the_style_on_other_content(styles):
    source = StylesToPaint(styles, ALL, SIZE, 1)
    # Contents 0 and 2 to 6 have several styles: two each, and three for 4.
    assert len(source) == 13
    seen = set()
    for seed in range(6):
        samples = source.samples(torch.arange(13), SIZE, generator(seed))
        sources = samples.sources
        pixels = (samples.pictures[:, 0], sources["picture"].pixels, sources["style"].pixels)
        for i, ((style, content), (other_style, same), (same_style, other)) in enumerate(
            zip(*(map(origin, each) for each in pixels), strict=True)
        ):
            assert same == content
            assert other_style != style
            assert same_style == style
            assert other != content
            assert samples.captions[i] == (f"number {content}" if content % 2 == 0 else ABSENT)
            seen |= {(style, content), (style, other)}
    # Those that one style alone has are shown for their style, and never painted.
    assert {("ink", 1), ("oil", 8), ("wax", 17)} <= seen


def test_contents_that_are_held_out_are_in_no_training_sample(styles, tmp_path):
    (tmp_path / "names.txt").write_text("4\n2\n")
    train, val = split_by_file(styles, HoldOut(file=tmp_path / "names.txt").file)
    for dataset, held_out in ((train, False), (val, True)):
        source = StylesToPaint(dataset, ALL, SIZE, 1)
        for seed in range(3):
            samples = source.samples(torch.arange(len(source)), SIZE, generator(seed))
            pixels = itertools.chain(samples.pictures[:, 0], *(each.pixels for each in samples.sources.values()))
            assert all((origin(each)[1] in (2, 4)) is held_out for each in pixels)


def test_nothing_is_mirrored(tmp_path):
    """Arrows, hands and letters would change their meaning."""
    for i, folder in enumerate(("a", "b")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for n in range(5):
            arrow = Image.new("RGB", (16, 16), (20 * i, 40 * n, 0))
            arrow.paste((255, 255, 255), (9, 2 + n, 16, 9))
            arrow.save(tmp_path / "set" / folder / f"{n}.png")
    pairs = PairsToPaint(TwoFolders(tmp_path / "set" / "a", tmp_path / "set" / "b", str), ALL, SIZE, 2)
    for source in (pairs, StylesToPaint(StyleSet(tmp_path / "set", str), ALL, SIZE, 2)):
        for seed in range(20):
            samples = source.samples(torch.arange(8), SIZE, generator(seed))
            for pixels in (samples.pictures[:, 0], *(each.pixels for each in samples.sources.values())):
                left, right = (half.float().mean(dim=(1, 2, 3)) for half in pixels.chunk(2, dim=-1))
                assert (right > left + 20).all()


def test_a_set_with_nothing_to_paint_is_refused(styles):
    part = styles.subset([i for i, stem in enumerate(styles.stems) if stem in ("4", "1")][:1])
    with pytest.raises(DataError, match=r"none of 1 pictures of .*set \(1 and so on\) can be painted"):
        StylesToPaint(part, ALL, SIZE, 1)


def test_a_generator_gets_the_sources_and_learns_from_them(styles, pairs):
    for dataset, sources in ((pairs, ("picture",)), (styles, ("picture", "style"))):
        training = GenerateTraining(dataset, dataset, GenerateRecipe(**TINY))
        assert training.model.config.pictures == sources
        batch = training.batch(torch.arange(8), generator(), 0.0)[0]
        assert tuple(batch.sources) == sources
        with torch.no_grad():  # gates are 0 at first
            for parameter in training.model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator()) * 0.1)
        training.loss(training.model, [batch], torch.device("cpu")).backward()
        for name in sources:
            assert training.model.pictures[name].embed.weight.grad.abs().amax() > 0
        assert ABSENT not in training.words
        assert training.evaluate(training.model, Device(torch.device("cpu"), False, 0, 1))["r2"] < 1


def test_sources_that_the_data_lacks_are_kept_and_not_trained(styles, pairs):
    trained = GenerateTraining(styles, styles, GenerateRecipe(**TINY))
    task = trained.trained(trained.model, "styles")
    further = GenerateTraining(pairs, pairs, GenerateRecipe(**TINY), 0, task)
    assert further.model.config.pictures == ("picture", "style")
    assert [p.requires_grad for p in further.model.pictures["style"].embed.parameters()] == [False, False]
    assert further.model.pictures["picture"].embed.weight.requires_grad
    first = GenerateTraining(pairs, pairs, GenerateRecipe(**TINY))
    wider = GenerateTraining(styles, styles, GenerateRecipe(**TINY), 0, first.trained(first.model, "pairs"))
    assert wider.model.config.pictures == ("picture", "style")
    same = (each.model.pictures["picture"].embed.weight for each in (first, wider))
    assert torch.equal(*same)


def test_options_of_other_data_are_refused(pairs):
    with pytest.raises(UsageError, match="--style-share are of drawn scenes"):
        GenerateTraining(pairs, pairs, GenerateRecipe(**TINY, picture_share=0.5))
    first = GenerateTraining(pairs, pairs, GenerateRecipe(**TINY))
    few = GenerateRecipe(**TINY, objective="mean-flow")
    with pytest.raises(UsageError, match=r"pictures of .* have none: add captions"):
        GenerateTraining(pairs, pairs, few, 0, first.trained(first.model, "pairs"))
