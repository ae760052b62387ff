"""Pipelines and transformers of diffusers, where it is installed."""

import warnings

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from saccade.lens import bias_source, cut, drop_heads, during, edit, swap, watch

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diffusers = pytest.importorskip("diffusers")
        from diffusers import (
            AutoencoderKL,
            DDIMScheduler,
            FluxTransformer2DModel,
            SD3Transformer2DModel,
            StableDiffusionPipeline,
            UNet2DConditionModel,
        )
        from diffusers.models.attention_dispatch import attention_backend
except Exception as error:
    pytest.skip(f"diffusers does not import: {error!r}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")
IMAGE, TEXT = 35, 11


def vocabulary():
    letters = [chr(i) for i in range(97, 123)]
    return {t: i for i, t in enumerate([*letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"])}


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


def tiny_pipeline():
    torch.manual_seed(3)
    blocks = {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 2}
    unet = UNet2DConditionModel(
        sample_size=8, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=24,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=4, **blocks,
    )  # fmt: skip
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2, latent_channels=4,
        **blocks,
    )  # fmt: skip
    config = CLIPTextConfig(
        hidden_size=24, intermediate_size=19, num_hidden_layers=2, num_attention_heads=2, vocab_size=54,
        max_position_embeddings=13, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    tokenizer = CLIPTokenizer(vocab=vocabulary(), merges=[], model_max_length=13)
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(config), tokenizer=tokenizer, unet=unet, scheduler=DDIMScheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipe.set_progress_bar_config(disable=True)
    return pipe


def paint(pipe, **options):
    generator = torch.Generator().manual_seed(0)
    options = {"prompt": "a cat", "num_inference_steps": 3, "output_type": "pt", "generator": generator, **options}
    return pipe(**options).images


@pytest.mark.parametrize(("guidance", "batch", "texts"), [(7.5, 2, 2), (1.0, 1, 1)])
def test_a_run_of_the_unet_is_a_sampling_step(pipe, guidance, batch, texts):
    plain = paint(pipe, guidance_scale=guidance)
    with watch(pipe) as trace:
        assert torch.equal(paint(pipe, guidance_scale=guidance), plain)
    assert not trace.missed
    assert [c.run for c in trace["text_encoder.*"]] == [run for run in range(texts) for _ in range(2)]
    for step in range(3):
        calls = trace["unet.*"].runs(step)
        assert [c.kind for c in calls] == ["self", "cross"] * 4
        assert {c.shape for c in calls if c.kind == "cross"} == {(batch, 4, 16, 13)}
    assert [c.name for c in trace["vae.*"]] == ["vae.decoder.mid_block.attentions.0"]


@pytest.mark.parametrize("processor", ["AttnProcessor", "AttnProcessor2_0"])
def test_steps_of_a_pipeline_are_edited(pipe, processor):
    """In separate operations (the first processor) as in the fused call."""
    plain = paint(pipe)
    edits = {"unet.*.attn2": during([bias_source(2, 5.0), cut(sources=3)], [0, 1]), "unet.*.attn1": drop_heads(1)}
    outs = {}
    for each in ("AttnProcessor2_0", processor):
        pipe.unet.set_attn_processor(getattr(diffusers.models.attention_processor, each)())
        with edit(pipe, edits) as done, watch(pipe, values=True, only="unet.*") as trace:
            outs[each] = paint(pipe)
        assert not done.missed
        assert set(done.applied.values()) == {2, 3}
        assert len(trace) == 24
        for call in trace:
            assert bool(call.columns(3).any()) == (call.kind == "self" or call.run == 2)
            assert call.v[:, 1].any() == (call.kind == "cross")
    torch.testing.assert_close(outs[processor], outs["AttnProcessor2_0"], atol=1e-5, rtol=0)
    pipe.unet.set_attn_processor(diffusers.models.attention_processor.AttnProcessor2_0())
    assert (outs[processor] - plain).abs().max() > 1e-4
    assert torch.equal(paint(pipe), plain)


@pytest.mark.parametrize("processor", ["AttnProcessor", "AttnProcessor2_0"])
def test_maps_of_another_prompt_are_swapped_in(pipe, processor):
    """Prompt-to-prompt: recorded in the fused call, taken over in either."""
    with watch(pipe, only="unet.*.attn2") as trace:
        paint(pipe)
    pipe.unet.set_attn_processor(getattr(diffusers.models.attention_processor, processor)())
    with edit(pipe, {"unet.*.attn2": during(swap(trace, {2: 2}), [0, 1])}), watch(pipe, only="unet.*.attn2") as again:
        paint(pipe, prompt="a dog")
    pipe.unet.set_attn_processor(diffusers.models.attention_processor.AttnProcessor2_0())
    first, other = trace[0].weights(), again[0].weights()
    with watch(pipe, only="unet.*.attn2") as own:
        paint(pipe, prompt="a dog")
    mixed = own[0].weights()
    mixed[..., 2] = first[..., 2]
    torch.testing.assert_close(other, mixed / mixed.sum(-1, keepdim=True), atol=1e-5, rtol=0)


def sd3():
    model = SD3Transformer2DModel(
        sample_size=16, patch_size=1, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=64, out_channels=4,
        pos_embed_max_size=24, dual_attention_layers=(0,),
    )  # fmt: skip
    return model, {"hidden_states": torch.randn(2, 4, 7, 5), "pooled_projections": torch.randn(2, 64)}


def flux():
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8],
    )  # fmt: skip
    ids = {"img_ids": torch.randn(IMAGE, 3), "txt_ids": torch.randn(TEXT, 3)}
    return model, {"hidden_states": torch.randn(2, IMAGE, 4), "pooled_projections": torch.randn(2, 32), **ids}


ORDERS = {
    "image": {"image": slice(0, 35), "text": slice(35, 46)},
    "text": {"text": slice(0, 11), "image": slice(11, 46)},
}


@pytest.mark.parametrize("backend", ["native", "_native_math"])
@pytest.mark.parametrize(("build", "first", "joint"), [(sd3, "image", [1, 0, 1]), (flux, "text", [1, 1, 1])])
def test_joint_attention_has_the_parts_that_the_text_changes(build, first, joint, backend):
    model, given = build()
    given |= {"encoder_hidden_states": torch.randn(2, TEXT, 32), "timestep": torch.tensor([3.0, 3.0])}
    with torch.no_grad(), attention_backend(backend):
        plain = model.eval()(**given)[0]
        with watch(model) as trace:
            assert torch.equal(model(**given)[0], plain)
        with watch(model) as other:
            model(**{**given, "encoder_hidden_states": given["encoder_hidden_states"] + 1})
    assert [c.kind for c in trace] == ["joint" if is_joint else "self" for is_joint in joint]
    assert all(c.parts == (ORDERS[first] if c.kind == "joint" else None) for c in trace)
    changed = (trace[0].q != other[0].q).any(dim=-1)[0, 0]
    assert changed.nonzero()[:, 0].tolist() == list(range(46))[ORDERS[first]["text"]]
    assert trace[0].block("image", "text").rows(3).shape == (2, trace[0].shape[1], 1, TEXT)
