"""Answers of models that write, and the attention of every step, as transformers' own explicit maps give it."""

import pytest
import torch

from saccade.errors import CheckpointError, DataError, SaccadeError
from saccade.tasks.ask.task import PublicAskTask
from saccade.tasks.loading import load
from saccade.tasks.public_loading import load_vlm

from .models import FAMILIES, picture, save

WORDS = 5


def explicit(task, pictures, question):
    """The explicit maps of every step (layers, heads, sources), and what was written."""
    given = {name: x.clone() for name, x in task.wrapper.prepare(pictures, question).items()}
    settings = {"do_sample": False, "num_beams": 1, "max_new_tokens": WORDS, "return_dict_in_generate": True}
    if task.wrapper.family == "blip":  # which always attends by explicit maps, and gives none of its cross-attention
        seen = []
        layers = [layer.crossattention.self for layer in task.model.text_decoder.bert.encoder.layer]
        hooks = [each.register_forward_hook(lambda _, __, out: seen.append(out[1][0, :, -1])) for each in layers]
        written = task.model.generate(**given, **settings).sequences[0]
        for hook in hooks:
            hook.remove()
        return [torch.stack(seen[i : i + len(layers)]) for i in range(0, len(seen), len(layers))], written
    usual = task.model.config._attn_implementation
    task.model.set_attn_implementation("eager")
    try:
        out = task.model.generate(**given, **settings, **task._whole_cache(), output_attentions=True)
    finally:
        task.model.set_attn_implementation(usual)
    steps = getattr(out, "cross_attentions", None) or out.attentions
    return [torch.stack([layer[0, :, -1] for layer in step]) for step in steps], out.sequences[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_those_of_each_step(task_of, family):
    task = task_of(family)
    pictures = [picture(family)]
    answer = task.ask(pictures, "red star", WORDS)
    with torch.no_grad():
        steps, written = explicit(task, pictures, "red star")
    inputs = task.wrapper.prepare(pictures, "red star")
    places, located, _ = task._places(inputs, pictures)
    assert located
    assert answer.located
    n = len(answer.pieces)
    assert len(steps) - n in (0, 1)  # the last may end the answer
    tokenizer = task.wrapper.processor.tokenizer
    assert answer.text == tokenizer.decode(written[len(written) - len(steps) :][:n], skip_special_tokens=True).strip()
    assert len(answer.layers) == 2
    for i, layer in enumerate(answer.layers):
        assert layer.shares.sum(dim=-1).sub(1).abs().max() < 1e-5
        for step in range(n):
            row = steps[step][i]
            prompt = row[:, : places.sources]
            if places.mix is None:
                expected = torch.cat(
                    [prompt[:, one.tokens.clamp(min=0)] * (one.tokens >= 0) for one in places.pictures], 1
                )
            else:
                expected = prompt @ places.mix
            torch.testing.assert_close(layer.weights[:, step], expected, atol=1e-5, rtol=0)
            torch.testing.assert_close(layer.shares[:, step, 0], expected.sum(dim=1), atol=1e-5, rtol=0)
            image = (prompt * places.image).sum(dim=1)
            torch.testing.assert_close(layer.shares[:, step, :2].sum(dim=1), image, atol=1e-5, rtol=0)
            torch.testing.assert_close(layer.shares[:, step, 3], row[:, places.sources :].sum(dim=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "idefics3"])
def test_several_pictures_are_read_together(task_of, family):
    task = task_of(family)
    both = [picture(family), picture(family, seed=1)]
    answer = task.ask(both, "red", WORDS)
    assert {one.source for one in answer.pictures} == {0, 1}
    alone = task.ask(both[:1], "red", WORDS)
    assert len(answer.pictures) == 2 * len(alone.pictures)
    tokens = torch.cat([one.tokens for one in answer.pictures])
    assert len(tokens.unique()) == len(tokens)
    assert answer.layers[0].weights.shape[2] == 2 * alone.layers[0].weights.shape[2]


def test_models_of_one_picture_take_no_more(task_of):
    for family in ("donut", "blip", "florence2"):
        with pytest.raises(DataError, match="takes one picture"):
            task_of(family).ask([picture(family)] * 2, "red", WORDS)


def test_a_question_begins_the_answer_of_a_model_that_only_reads(task_of):
    task = task_of("donut")
    plain = task.wrapper.prepare([picture("donut")], "")
    begun = task.wrapper.prepare([picture("donut")], "red star")
    assert "decoder_input_ids" not in plain
    assert begun["decoder_input_ids"][0, 0] == 1
    assert task.ask([picture("donut")], "red star", 2).question == "red star"


def test_a_prompt_that_is_too_long_is_refused(task_of):
    with pytest.raises(DataError, match="reads at most"):
        task_of("donut").ask([picture("donut")], "red star" * 40)


def test_regions_are_not_shown_where_tokens_are_no_places(task_of, monkeypatch):
    task = task_of("llava")
    right = task.ask([picture("llava")], "red", WORDS)
    monkeypatch.setattr("saccade.tasks.ask.token_layouts.square_grid", lambda pixels, tokens: (1, 25))
    answer = task.ask([picture("llava")], "red", WORDS)
    assert not answer.located
    assert any("regions are not shown" in note for note in answer.notes)
    assert [one.grid for one in answer.pictures] == [(1, 1)]
    torch.testing.assert_close(answer.layers[0].weights[..., 0], right.layers[0].weights.sum(dim=-1))


def test_a_model_that_reads_pictures_otherwise_is_refused(task_of, monkeypatch):
    """As with cross-attention in some layers: what stands for the picture in the prompt has nothing of it."""
    task = task_of("llava")
    monkeypatch.setattr("saccade.tasks.ask.token_layouts.square_grid", lambda pixels, tokens: None)
    monkeypatch.setattr(type(task.model.model), "get_image_features", lambda *_, pixel_values, **__: constant)
    constant = type("Out", (), {"pooler_output": [torch.zeros(25, 24)]})()
    with pytest.raises(SaccadeError, match="how its words attend to pictures is not known"):
        task.ask([picture("llava")], "red", WORDS)


def test_only_models_that_write_are_asked(tmp_path, task_of):
    with pytest.raises(CheckpointError, match="writes no answers"):
        load_vlm("cifar")
    folder = save("llava", tmp_path)
    with pytest.raises(CheckpointError, match="give --ask"):
        load(folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        load_vlm(folder)
    assert isinstance(task_of("llava"), PublicAskTask)


def test_a_decoder_that_is_not_seen_is_an_error(task_of, monkeypatch):
    task = task_of("llava")
    monkeypatch.setattr(task, "_decoder", lambda: "none.*", raising=False)
    with pytest.raises(SaccadeError, match="was not seen"):
        task.ask([picture("llava")], "red", WORDS)
