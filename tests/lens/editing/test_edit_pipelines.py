"""Edits of whole pipelines: the names and runs are those of a watch."""

import pytest
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor, pipeline

from saccade.errors import SaccadeError
from saccade.lens import cut, drop_heads, during, edit, freeze, scale_source, swap, watch

from ..models import Attend, eager
from ..modules.test_components import Pipe
from ..watching.test_watch import assert_untouched


@pytest.fixture(params=[None, eager])
def pipe(request):
    """A pipeline, the attention of whose denoiser is fused or written as separate operations."""
    pipe = Pipe()
    for module in pipe.components["unet"].modules():
        if request.param and isinstance(module, Attend):
            module.how = request.param
    return pipe


def test_steps_of_one_component_are_edited(pipe):
    x = torch.randn(2, 5, 14)
    plain = pipe(x, 3)
    edits = {"unet.*.cross": during(cut(sources=1), [1, 2]), "vae.decoder.*": drop_heads(0)}
    with edit(pipe, edits) as done, watch(pipe, values=True) as trace:
        got = pipe(x, 3)
    assert done.applied == {"unet.blocks.cross": 2, "vae.decoder.blocks.a": 1}
    assert not done.missed
    assert [bool(call.columns(1).any()) for call in trace["unet.*.cross"]] == [True, False, False]
    assert not trace["vae.decoder.*"][0].v[:, 0].any()
    assert trace["vae.encoder.*"][0].v[:, 0].any()
    assert [call.component for call in trace][-1] == "vae"
    parts = pipe.components
    text, y = parts["text_encoder"](x), parts["vae"]["encoder"](x)
    y = parts["unet"](y, text)
    with edit(parts["unet"], {"*.cross": cut(sources=1)}):
        y = parts["unet"](parts["unet"](y, text), text)
    with edit(parts["vae"]["decoder"], {"*": drop_heads(0)}):
        torch.testing.assert_close(parts["vae"]["decoder"](y), got)
    assert torch.equal(pipe(x, 3), plain)
    for part in (parts["unet"], parts["vae"], parts["text_encoder"]):
        assert_untouched(part)


def test_maps_of_another_painting_are_taken_over_by_step(pipe):
    x = torch.randn(2, 5, 14)
    with watch(pipe, only="unet.*") as trace:
        pipe(x, 3)
    with edit(pipe, {"unet.*": during(swap(trace), range(2))}) as done, watch(pipe, only="unet.*") as again:
        pipe(x + 1, 3)
    assert done.applied == {"unet.blocks.a": 2, "unet.blocks.cross": 2}
    for i, (one, other) in enumerate(zip(trace, again, strict=True)):
        assert torch.allclose(one.weights(), other.weights(), atol=1e-6) == (i < 4)
    with edit(pipe, {"unet.*.a": freeze()}), watch(pipe, only="unet.*.a") as frozen:
        pipe(x, 3)
    for call in frozen:
        torch.testing.assert_close(call.weights(), frozen[0].weights())


def test_what_matches_nothing_names_what_there_is(pipe):
    with (
        pytest.raises(SaccadeError, match=r"there are text_encoder.blocks.a, vae.encoder.blocks.a, unet.blocks.a and"),
        edit(pipe, {"blocks.*": scale_source(0, 2.0)}),  # without the component
    ):
        pipe(torch.randn(2, 5, 14), 1)


def test_what_has_no_modules_is_refused_in_words():
    for given, said in ((3, "a int"), (None, "a NoneType")):
        message = f"edit was given {said}; expected a torch.nn.Module, or a pipeline"
        with pytest.raises(SaccadeError, match=message), edit(given, {"*": drop_heads(0)}):
            pass


@pytest.mark.parametrize("how", ["eager", "sdpa"])
def test_a_pipeline_of_transformers(how):
    config = ViTConfig(
        hidden_size=14, num_hidden_layers=2, num_attention_heads=2, intermediate_size=22, image_size=22, patch_size=11,
        attn_implementation=how, num_labels=3,
    )  # fmt: skip
    model = ViTForImageClassification(config).eval()
    pipe = pipeline("image-classification", model=model, image_processor=ViTImageProcessor(size=22), device="cpu")
    picture = Image.new("RGB", (22, 22), (200, 30, 90))
    with edit(pipe, {"model.*.layers.1.*": drop_heads(0, 1)}) as done, watch(pipe, values=True) as trace:
        got = pipe(picture)
    (name,) = done.applied
    assert name.startswith("model.vit.")
    assert [bool(call.v.any()) for call in trace] == [True, False]
    with edit(model, {"*.layers.1.*": drop_heads(0, 1)}):
        assert pipe(picture) == got
    assert pipe(picture) != got
