"""Word maps of public pipelines beside an explicit softmax, and edits of what they read."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import saccade
from saccade.errors import SaccadeError
from saccade.tasks.generate.image_to_image import SourceImage, SourceImages
from saccade.tasks.generate.public_look import prompt_tokens, trace_pipeline
from saccade.tasks.generate.sample import Sampling
from saccade.tasks.public_loading import load_generator

from .pipelines import CLIP_TOKENS, FAMILIES, VARIANTS, flux, stable_diffusion_xl_refiner, without_t5
from .test_public_pictures import add_adapter, random_picture

pytestmark = pytest.mark.filterwarnings("ignore")
PROMPT = "a red star"
CLIP = [[1], [2], [3]]  # after the token of the beginning
T5 = [[0], [1], [2]]
# Tokens of the words in the text; grid of 16 x 24 pixels; text first, or picture first, or apart; layers.
LAYOUTS = {
    "unet": (CLIP, (4, 6), "apart", 4),
    "sd3": ([[*clip, CLIP_TOKENS + t5[0]] for clip, t5 in zip(CLIP, T5, strict=True)], (8, 12), "picture", 2),
    "flux": (T5, (4, 6), "text", 3),
    "pixart": (T5, (4, 6), "apart", 2),
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    loaded = {}

    def task(name, build=None):
        if name not in loaded:
            folder = tmp_path_factory.mktemp("pipelines") / name
            (build or FAMILIES[name])().save_pretrained(folder)
            loaded[name] = load_generator(folder)
        return loaded[name]

    return task


def settings(task, negative="", guidance=4.0, prompt=PROMPT, originals=None):
    return task.settings(prompt, negative, 5, Sampling(2, guidance), 16, 24, originals)


def explicit_softmaxes(task, given, monkeypatch, originals=None):
    """The weights of all calls that read the text, in double precision, and the picture."""
    found = []
    fused = F.scaled_dot_product_attention

    def record(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **options):
        scores = query.double() @ key.double().transpose(-1, -2) * (scale or 1 / math.sqrt(query.shape[-1]))
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
        found.append(scores.softmax(dim=-1))
        return fused(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **options)

    network = task.model.unet if hasattr(task.model, "unet") else task.model.transformer
    forward = network.forward

    def recorded(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(F, "scaled_dot_product_attention", record)
            return forward(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(network, "forward", recorded)
        [picture] = task.generate_all([given], originals=originals)
    return found, picture


def of_words(weights, tokens, grid, order):
    """From the weights of one call: heads, words, rows, columns."""
    image = math.prod(grid)
    text = weights.shape[-1] - image
    first = {"apart": 0, "picture": image, "text": 0}[order]
    rows = slice(text, None) if order == "text" else slice(0, image)
    maps = [sum(weights[-1, :, rows, first + token] for token in each) for each in tokens]
    return torch.stack(maps, dim=1).unflatten(-1, grid)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_word_maps_are_those_of_an_explicit_softmax(tasks, name, guidance, monkeypatch):
    task = tasks(name)
    tokens, grid, order, layers = LAYOUTS[name]
    given = settings(task, guidance=guidance)
    everything, plain = explicit_softmaxes(task, given, monkeypatch)
    weights = [w for w in everything if w.shape[-1] != w.shape[-2] or order != "apart"]
    trace = trace_pipeline(task, given)
    assert trace.picture.to_png() == plain.to_png()
    assert (trace.words, trace.tokens) == (["a", "red", "star"], tokens)
    assert len(trace.layers) == layers
    assert len(weights) == 2 * layers
    for evaluation in range(2):
        for layer in range(layers):
            expected = of_words(weights[evaluation * layers + layer], tokens, grid, order)
            found = trace.word_maps(evaluation, layer)
            assert found.shape == expected.shape
            torch.testing.assert_close(found.double(), expected, atol=2e-6, rtol=1e-4)


def test_words_beside_a_style(tmp_path, monkeypatch):
    """An IP adapter attends to the tokens of the style in calls of its own, which are no words."""
    FAMILIES["unet"]().save_pretrained(tmp_path / "unet")
    task, originals = load_generator(tmp_path / "unet"), SourceImages(style=SourceImage.read(random_picture(9, 9)))
    add_adapter(task.model)
    given = settings(task, originals=originals)
    everything, plain = explicit_softmaxes(task, given, monkeypatch, originals)
    weights = [w for w in everything if w.shape[-1] == CLIP_TOKENS]
    trace = trace_pipeline(task, given, originals=originals)
    assert (trace.picture.to_png(), len(trace.layers), len(weights)) == (plain.to_png(), 4, 8)
    for i, expected in enumerate(weights):
        found = trace.word_maps(*divmod(i, 4))
        torch.testing.assert_close(found.double(), of_words(expected, CLIP, (4, 6), "apart"), atol=2e-6, rtol=1e-4)
    with pytest.raises(SaccadeError, match="unet has an IP adapter, which reads a style: give one"):
        settings(task)


def test_pipelines_that_lack_a_text_encoder(tmp_path):
    without_t5().save_pretrained(tmp_path / "sd3")
    trace = trace_pipeline(task := load_generator(tmp_path / "sd3"), settings(task))
    assert (trace.tokens, trace.word_maps(1, 1).shape) == (CLIP, (4, 3, 8, 12))
    stable_diffusion_xl_refiner().save_pretrained(tmp_path / "refiner")
    task, originals = load_generator(tmp_path / "refiner"), SourceImages(SourceImage.read(random_picture()))
    given = task.settings(PROMPT, "", 5, Sampling(2, 4.0), 16, 24, originals, 0.5)
    trace = trace_pipeline(task, given, originals=originals)
    assert (trace.tokens, len(trace.layers)) == (CLIP, 8)


def test_another_number_of_tokens_is_refused(tasks, monkeypatch):
    task = tasks("unet")
    monkeypatch.setattr(type(task), "text_tokens", lambda self, tokenizer: CLIP_TOKENS + 1)
    with pytest.raises(SaccadeError, match="reads 13 tokens, and 14 are expected of the text"):
        trace_pipeline(task, settings(task))


@pytest.mark.parametrize(("name", "tokens", "layers"), [("sdxl", CLIP, 8), ("lcm", CLIP, 4), ("sigma", T5, 2)])
def test_words_of_variants(name, tokens, layers, tmp_path):
    """Another word changes the embeddings of the text from its own tokens on."""
    VARIANTS[name]().save_pretrained(tmp_path / name)
    task = load_generator(tmp_path / name)
    network = task.model.unet if hasattr(task.model, "unet") else task.model.transformer
    trace = trace_pipeline(task, settings(task))
    assert (trace.tokens, len(trace.layers)) == (tokens, layers)
    assert trace.word_maps(1, layers - 1).sum(dim=1).max() <= 1
    texts = []
    hook = network.register_forward_hook(lambda m, args, kwargs, out: texts.append(kwargs), with_kwargs=True)
    for prompt in (PROMPT, "a red blue"):
        list(task.generate_all([settings(task, prompt=prompt)]))
    hook.remove()
    before, after = (kwargs["encoder_hidden_states"][-1] for kwargs in texts[::2])
    changed = (before != after).any(dim=1).nonzero().flatten()
    assert int(changed[0]) == (tokens[2][0] if name != "sigma" else 0)  # CLIP is causal, T5 is not


def test_layers_are_chosen_by_name(tasks):
    task = tasks("unet")
    trace = trace_pipeline(task, settings(task), layers="*.up_blocks.*")
    assert len(trace.layers) == 2
    assert all(".up_blocks.0." in name for name in trace.layers)
    for evaluation, layer in ((2, 0), (0, 2), (-1, 0)):
        with pytest.raises(SaccadeError, match="there are 2 evaluations and 2 layers"):
            trace.word_maps(evaluation, layer)
    with pytest.raises(SaccadeError, match=r"no layer of unet that matches '\*.attn1' attends to the text"):
        trace_pipeline(task, settings(task), layers="*.attn1")


def test_flux_evaluates_the_negative_prompt_apart(tasks):
    task = tasks("schnell", lambda: flux(guidance_embeds=False))
    alone, guided = (trace_pipeline(task, settings(task, "blue", guidance=g)) for g in (1.0, 4.0))
    assert len(alone.calls) == len(guided.calls) == 2
    torch.testing.assert_close(guided.word_maps(0, 0), alone.word_maps(0, 0), atol=1e-6, rtol=0)


def test_words_of_several_tokens_and_of_none(tasks):
    assert prompt_tokens(tasks("unet"), "a bat, red") == (
        ["a", "bat", ",", "red"],
        [[1], [2, 3, 4], [5], [6]],
    )
    assert prompt_tokens(tasks("pixart"), "A RED bat") == (["a", "red", "bat"], [[0], [1], [2, 3, 4, 5]])
    # the text encoder of CLIP cuts after 13 tokens, the last of which ends the text; T5 goes on
    words, tokens = prompt_tokens(tasks("sd3"), "abcdefghijk star")
    assert words == ["abcdefghijk", "star"]
    assert tokens == [[*range(1, 12), *range(CLIP_TOKENS, CLIP_TOKENS + 11)], [CLIP_TOKENS + 11]]


def test_scaling_a_word_changes_the_output_as_the_readable_attention_says(tasks):
    """One layer of cross-attention, recomputed from its weights and values: weights of "star" times 3, or its column
    of the scores plus log 3."""
    unet = tasks("unet").model.unet
    layer = unet.mid_block.attentions[0].transformer_blocks[0].attn2
    text, latents = torch.randn(2, CLIP_TOKENS, 24), torch.randn(2, 4, 8, 12)
    outs = []
    hook = layer.register_forward_hook(lambda module, args, out: outs.append(out))
    edits = {"scale": saccade.scale_source(3, 3.0), "bias": saccade.bias_source(3, 3.0)}
    with torch.no_grad(), saccade.watch(unet, values=True, only="mid_block.*.attn2") as trace:
        unet(latents, 7, text)
    call, v = trace[0], trace[0].v
    with torch.no_grad():
        for name, change in edits.items():
            outs.clear()
            with saccade.edit(unet, {"mid_block.*.attn2": change}):
                unet(latents, 7, text)
            weights = saccade.attention_weights(call.q, call.k)
            weights[..., 3] *= 3
            if name == "bias":
                weights /= weights.sum(dim=-1, keepdim=True)
            mixed = (weights @ v).transpose(1, 2).flatten(2)
            torch.testing.assert_close(outs[0], layer.to_out[0](mixed), atol=2e-6, rtol=1e-4)
    hook.remove()


def test_edits_of_a_pipeline_change_what_it_paints(tasks):
    task = tasks("sd3")
    given = settings(task)
    [plain] = task.generate_all([given])
    place = 8 * 12 + 2  # the picture comes first, then the token of the beginning, "a" and "red"
    with saccade.edit(task.model, {"transformer.*.attn": saccade.cut(sources=place)}):
        trace = trace_pipeline(task, given)
        clip, t5 = trace.tokens[1]
    assert (clip + 8 * 12, t5) == (place, CLIP_TOKENS + 1)
    assert trace.calls[0][0].columns(place).abs().max() == 0
    assert (np.asarray(trace.picture.image) != np.asarray(plain.image)).any()
    [again] = task.generate_all([given])
    assert again.to_png() == plain.to_png()


def test_pipelines_of_unknown_layout_are_refused(tasks, monkeypatch):
    task = tasks("unet")
    monkeypatch.setattr("saccade.tasks.generate.public_look.TOKENIZERS", {"FluxPipeline": ("tokenizer_2",)})
    with pytest.raises(SaccadeError, match="is a StableDiffusionPipeline: how its text is laid out is not known here"):
        trace_pipeline(task, settings(task))


def test_the_example_of_the_documentation(tasks, tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "generate.md").read_text()
    example = text.split("<!-- pipeline-example -->")[1].split("```")[1].removeprefix("python\n")
    tasks("unet").model.save_pretrained(tmp_path / "folder")
    names = {}
    exec(example.replace("diffusers:folder/", f"diffusers:{tmp_path / 'folder'}"), names)
    assert names["maps"].shape == (4, 3, 4, 4)
    assert names["picture"].to_png() != names["trace"].picture.to_png()
