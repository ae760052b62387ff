"""The generator: what it attends to, its sources, and pictures of any size."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

import saccade
from saccade.errors import DataError, SaccadeError, UsageError
from saccade.models.generator import FilmClip, Generator, GeneratorConfig, SourceKeysValues, rotary_sincos
from saccade.tasks.generate.recipe import GenerateRecipe
from saccade.tasks.generate.training import generator_config

CONFIG = {
    "block": {"width": 32, "heads": 2, "hidden": 22, "activation": "swiglu"},
    "depth": 3,
    "patch": 4,
    "bottleneck": 11,
    "films": True,
    "refine": 5,
    "text": {"block": {"width": 28, "heads": 2, "hidden": 14}, "depth": 1, "max_words": 31},
    "late": 1,
}
TEXTS = ["a red star left of a blue ring", "빨간 별", "ring, dark"]
PRESENT = torch.tensor([True, True, True])


def generator() -> Generator:
    model = Generator(GeneratorConfig.model_validate(CONFIG)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    for parameter in model.refine.parameters():  # its output is then about as large as the prediction
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def noise(b: int = 3, frames: int = 1, size: tuple[int, int] = (12, 20)) -> torch.Tensor:
    return torch.randn(b, frames, 3, *size)


def encoded(model: Generator, texts: list[str] = TEXTS, present: torch.Tensor = PRESENT) -> SourceKeysValues:
    return model.encode(model.tokenize(texts), present)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_sources_computed_once_serve_every_step():
    model, z = generator(), noise()
    once = encoded(model)
    for time in (0.0, 0.4, 0.9):
        t = torch.full((3, 1), time)
        close(model.predict(z, t, once), model(z, t, model.tokenize(TEXTS), PRESENT))


@torch.no_grad()
def test_padding_of_other_captions_changes_nothing():
    model, z, t = generator(), noise(), torch.rand(3, 1)
    together = model.predict(z, t, encoded(model))
    for i, text in enumerate(TEXTS):
        alone = model.predict(z[i : i + 1], t[i : i + 1], encoded(model, [text], PRESENT[:1]))
        close(alone[0], together[i])
    longer = encoded(model, [*TEXTS, "word " * 31], torch.ones(4, dtype=torch.bool)).part(slice(0, 3))
    close(model.predict(z, t, longer), together)


@torch.no_grad()
def test_the_caption_and_its_absence_matter():
    model, z, t = generator(), noise(), torch.rand(3, 1)
    plain = model.predict(z, t, encoded(model))
    absent = [model.predict(z, t, encoded(model, texts, ~PRESENT)) for texts in (TEXTS, ["-", "-", "-"])]
    assert torch.equal(*absent), "what an absent caption says has no effect"
    assert (absent[0] - plain).abs().amin(dim=0).max() > 1e-3
    swapped = model.predict(z, t, encoded(model, TEXTS[::-1]))
    assert (swapped - plain)[0].abs().max() > 1e-3
    close(swapped[1], plain[1])


@torch.no_grad()
def test_weights_are_logarithms_on_the_scores():
    model, z, t = generator(), noise(1), torch.rand(1, 1)
    plain = encoded(model, TEXTS[:1], PRESENT[:1])
    weights = torch.tensor([[1, 1.5, 0.25, 0, 1, 1, 7, 1]])
    weighted = plain.with_weights(weights)
    with saccade.watch(model) as before:
        model.predict(z, t, plain)
    with saccade.watch(model) as after:
        model.predict(z, t, weighted)
    name = "blocks.0.cross_attention"  # before any weight has had an effect, so that queries are equal
    one, other = before[name][0], after[name][0]
    assert torch.equal(one.q, other.q)
    expected = one.weights() * weights
    close(other.weights(), expected / expected.sum(dim=-1, keepdim=True))
    close(saccade.attention_weights(one.q, one.k, mask=weights.log()[:, None, None]), other.weights())
    assert not other.weights()[..., 3].any()


@torch.no_grad()
def test_weights_of_one_change_no_bit():
    model, z, t = generator(), noise(), torch.rand(3, 1)
    sources = encoded(model)
    weighted = sources.with_weights(torch.ones(sources.mask.shape[0], sources.mask.shape[-1]))
    assert torch.equal(model.predict(z, t, weighted), model.predict(z, t, sources))


@torch.no_grad()
def test_padding_stays_masked_beside_weights():
    model, z, t = generator(), noise(), torch.rand(3, 1)
    sources = encoded(model)
    weights = torch.ones(3, 8)
    weights[0, 1] = 3
    found = model.predict(z, t, sources.with_weights(weights))
    close(found[1:], model.predict(z, t, sources)[1:])


@torch.no_grad()
def test_samples_taken_apart_and_joined():
    model, z, t = generator(), noise(), torch.rand(3, 1)
    sources = encoded(model)
    joined = sources.part(slice(0, 1)).followed_by(sources.part(slice(1, 3)))
    assert torch.equal(model.predict(z, t, joined), model.predict(z, t, sources))


@torch.no_grad()
def test_groups_of_frames_have_times_of_their_own():
    model, z = generator(), noise(3, frames=5)
    sources = encoded(model)
    t = torch.tensor([[0.1, 0.1, 0.1]] * 3)
    found = model.predict(z, t, sources)
    assert found.shape == z.shape
    later = model.predict(z, torch.tensor([[0.1, 0.8, 0.1]] * 3), sources)
    assert (later - found).abs().amax(dim=(0, 2, 3, 4)).min() > 1e-4


@torch.no_grad()
def test_known_frames_see_only_one_another():
    """Their keys and values, computed once, are those of one pass over all frames with a mask."""
    model, known, z, t = generator(), noise(3, frames=3), noise(3, frames=4), torch.rand(3, 2)
    sources = encoded(model)
    found = model.predict(z, t, model.with_past(sources, [FilmClip(known)], 3))
    film, times = torch.cat([known, z], dim=1), torch.cat([torch.ones(3, 2), t], dim=1)
    sees = torch.ones(60, 60, dtype=torch.bool)
    sees[:30, 30:] = False
    expected = predict_masked(model, film, times, sources, sees)[:, 3:]
    close(found, expected)
    assert (found - predict_masked(model, film, times, sources, ~torch.zeros_like(sees))[:, 3:]).abs().max() > 1e-3


def predict_masked(model: Generator, z: torch.Tensor, t: torch.Tensor, sources: SourceKeysValues, sees: torch.Tensor):
    """The prediction of a film in one pass; sees: which tokens the self-attention of each takes."""
    attention = type(model.blocks[0].self_attention)

    def masked(module, args, kwargs):
        return args, {**kwargs, "mask": sees}

    hooks = [
        block.self_attention.register_forward_pre_hook(masked, with_kwargs=True)
        for block in model.blocks
        if isinstance(block.self_attention, attention)
    ]
    try:
        return model.predict(z, t, sources)
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def test_frames_that_are_known_at_both_ends():
    model, ends, z = generator(), [noise(3), noise(3)], noise(3, frames=4)
    sources = encoded(model)
    between = model.with_past(sources, [FilmClip(ends[0]), FilmClip(ends[1], 5)], 1)
    assert between.past.keys_values[0].keys.shape[2] == 2 * 15
    t = torch.full((3, 2), 0.3)
    found = model.predict(z, t, between)
    swapped = model.with_past(sources, [FilmClip(ends[0], 5), FilmClip(ends[1])], 1)
    assert (found - model.predict(z, t, swapped)).abs().max() > 1e-3
    close(model.predict(z[1:], t[1:], between.part(slice(1, 3))), found[1:])
    again = between.part(slice(0, 1)).followed_by(between.part(slice(1, 3)))
    close(model.predict(z, t, again), found)


@torch.no_grad()
def test_a_film_goes_on_in_time():
    """A film's second half, seen from its first, lies where it does in the whole film."""
    model, z = generator(), noise(1, frames=7)
    whole, rest = model._tokens(z, 0), model._tokens(z[:, 3:], 3)
    assert torch.equal(whole.angles[30:], rest.angles)
    assert torch.equal(whole.x[:, 30:], rest.x)


def test_films_are_refused_by_a_generator_of_pictures():
    model = Generator(GeneratorConfig.model_validate({**CONFIG, "films": False}))
    with pytest.raises(SaccadeError, match="trained on films"):
        model(noise(3, frames=3), torch.rand(3, 2), model.tokenize(TEXTS), PRESENT)


@torch.no_grad()
def test_the_end_of_an_interval_reaches_the_last_blocks_only():
    model, z, t = generator(), noise(1), torch.full((1, 1), 0.25)
    sources = encoded(model, TEXTS[:1], PRESENT[:1])
    with saccade.watch(model) as one:
        plain = model.predict(z, t, sources)
    with saccade.watch(model) as other:
        mean = model.predict(z, t, sources, interval=torch.full((1, 1), 0.5), guidance=None)
    for i, same in enumerate([True, True, False]):
        name = f"blocks.{i}.self_attention"
        assert torch.allclose(one[name][0].q, other[name][0].q, atol=1e-6) is same
    assert (plain - mean).abs().max() > 1e-3
    guided = model.predict(z, t, sources, guidance=torch.full((1, 1), 3.0))
    assert (plain - guided).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(4, 4), (12, 20), (28, 8)])
@torch.no_grad()
def test_any_size_of_whole_patches(size):
    model = generator()
    assert model.predict(noise(3, size=size), torch.rand(3, 1), encoded(model)).shape == (3, 1, 3, *size)


@pytest.mark.parametrize("size", [(13, 20), (12, 21), (3, 4)])
def test_sizes_that_do_not_divide(size):
    model = generator()
    with pytest.raises(SaccadeError, match=f"{size[1]} x {size[0]} pixels is not a multiple of 4"):
        model.predict(noise(3, size=size), torch.rand(3, 1), encoded(model))


def test_patches_that_the_convolutions_do_not_divide():
    with pytest.raises(ValidationError, match=r"patch 6: convolutions behind the blocks .* need a multiple of 4"):
        GeneratorConfig.model_validate({**CONFIG, "patch": 6})
    assert GeneratorConfig.model_validate({**CONFIG, "patch": 6, "refine": 0}).patch == 6
    with pytest.raises(UsageError, match="--patch 6: a multiple of 4 is expected, or --refine 0"):
        generator_config(GenerateRecipe(patch=6), (), films=False, pretrained=None)


@pytest.mark.parametrize("text", ["", "  ", "word " * 32, "\x07"])
def test_captions_that_cannot_be_read(text):
    with pytest.raises(DataError):
        generator().tokenize([text])


def test_every_place_is_different():
    apart = rotary_sincos((2, 3, 5), 32)
    assert torch.cdist(apart, apart).fill_diagonal_(1).min() > 0.05


def test_gradients_reach_every_parameter():
    model, z = generator(), noise(2, frames=3)
    sources = encoded(model, TEXTS[:2], torch.tensor([True, False]))
    model.predict(z, torch.rand(2, 2), sources, torch.rand(2, 2), torch.rand(2, 2)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_every_attention_call_is_seen():
    model = generator()
    sources = encoded(model)
    with saccade.watch(model) as trace:
        model.predict(noise(), torch.rand(3, 1), sources)
    assert trace.missed == {}
    expected = [f"blocks.{i}.{kind}_attention" for i in range(3) for kind in ("self", "cross")]
    assert [call.name for call in trace] == expected
    assert trace[1].shape == (3, 2, 15, 8)


@torch.no_grad()
def test_weights_survive_a_file(tmp_path):
    model, other = generator(), generator()
    save_file(model.state_dict(), tmp_path / "g.safetensors")
    other.load_state_dict(load_file(tmp_path / "g.safetensors"))
    z, t = noise(), torch.rand(3, 1)
    assert torch.equal(model.predict(z, t, encoded(model)), other.predict(z, t, encoded(other)))


def test_a_generator_of_the_default_size_fits_its_file():
    config = generator_config(GenerateRecipe(), ("picture", "masked", "style"), films=True, pretrained=None)
    with torch.device("meta"):
        model = Generator(config)
    assert sum(p.numel() for p in model.parameters()) <= 5_000_000  # 10 MB in fp16
