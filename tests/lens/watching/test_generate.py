"""Models that write text about a picture: each run makes one word, and tells which patches it attended to."""

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    VideoMAEConfig,
    VideoMAEModel,
)

from saccade.errors import SaccadeError
from saccade.lens import image_tokens, regions, watch
from saccade.lens.trace.saved_tensor import save_tensors

ROWS, COLUMNS, WORDS, IMAGE = 5, 5, 4, 40  # patches of the picture, words to write, the token of a patch


def made_llava():
    torch.manual_seed(3)
    small = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 2}
    vision = CLIPVisionConfig(num_attention_heads=2, image_size=35, patch_size=7, **small)
    text = LlamaConfig(vocab_size=41, num_attention_heads=4, num_key_value_heads=2, head_dim=6, **small)
    both = {"vision_config": vision, "text_config": text}
    model = LlavaForConditionalGeneration(LlavaConfig(**both, image_token_id=IMAGE, image_seq_length=25)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    ids = torch.tensor([[1, *[IMAGE] * ROWS * COLUMNS, 5, 7, 9]])
    given = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 35, 35), "attention_mask": torch.ones_like(ids)}
    return model, given


llava = pytest.fixture(made_llava, scope="module", name="llava")


def write(model, given, **options):
    return model.generate(**given, max_new_tokens=WORDS, min_new_tokens=WORDS, do_sample=False, **options)


@pytest.mark.parametrize("prompt", [1, 3, 11])
@pytest.mark.parametrize("heads", [4, 8])
def test_one_token_over_a_sliding_cache_is_self_attention(prompt, heads):
    """A full window needs no repeated keys: transformers lays the heads of a group out as targets then."""
    small = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 2, "num_attention_heads": heads}
    layers = {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"]}
    torch.manual_seed(3)
    config = Gemma3TextConfig(vocab_size=41, num_key_value_heads=1, head_dim=6, **small, **layers)
    model = Gemma3ForCausalLM(config).eval()
    ids = torch.arange(3, 3 + prompt)[None]
    with torch.no_grad(), watch(model) as trace:
        model.generate(ids, max_new_tokens=7, min_new_tokens=7, do_sample=False)
    assert {call.kind for call in trace} == {"self"}
    sliding = [call.shape for call in trace if call.name.endswith("0.self_attn")][1:]
    assert sliding == [(1, heads, 1, min(prompt + run, 5)) for run in range(1, 7)]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("options", [{}, {"cache_implementation": "static"}, {"use_cache": False}])
def test_each_run_is_a_word_whatever_the_cache(llava, options, mode):
    model, given = llava
    with mode():
        plain = write(model, given, **options)
        with watch(model) as trace:
            written = write(model, given, **options)
    assert torch.equal(written, plain)
    assert not trace.missed
    assert [c.run for c in trace["*vision_tower*"]] == [0, 0]
    decoder = trace["*language_model*"]
    assert [c.run for c in decoder] == [run for run in range(WORDS) for _ in range(2)]
    assert {c.shape[:2] for c in decoder} == {(1, 4)}
    # All words at once, by the explicit maps:
    whole = {**given, "input_ids": written[:, :-1], "attention_mask": torch.ones_like(written[:, :-1])}
    model.set_attn_implementation("eager")
    with torch.no_grad():
        maps = torch.stack(model(**whole, output_attentions=True).attentions)[:, 0]
    model.set_attn_implementation("sdpa")
    at = range(given["input_ids"].shape[1] - 1, written.shape[1] - 1)
    expected = maps.mean(dim=(0, 1))[at][:, 1 : 1 + ROWS * COLUMNS].view(WORDS, ROWS, COLUMNS)
    places = image_tokens(given["input_ids"], IMAGE, (ROWS, COLUMNS))
    torch.testing.assert_close(regions(decoder, places), expected, atol=1e-6, rtol=0)


def test_only_what_was_written_into_before_is_copied():
    cache, fresh = torch.zeros(1, 2, 7, 3), torch.randn(1, 2, 5, 3)
    cache[:, :, 0] = 1
    kept, plain = save_tensors(cache, fresh)
    assert kept.value("k").data_ptr() != cache.data_ptr()
    assert plain.value("q").data_ptr() == fresh.data_ptr()
    cache[:, :, 0] = 2
    assert kept.value("k").max() == 1
    fresh.add_(1)
    with pytest.raises(SaccadeError, match="q was overwritten"):
        plain.value("q")


def test_films_are_frames_by_rows_by_columns():
    config = VideoMAEConfig(image_size=12, patch_size=4, num_frames=4, tubelet_size=2, hidden_size=12,
                            num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)  # fmt: skip
    model, film = VideoMAEModel(config).eval(), torch.randn(1, 4, 3, 12, 12)
    with torch.no_grad(), watch(model) as trace:
        model(film)
        with watch(model) as other:
            film[:, 2:, :, 4:8, 8:] += 1  # the second pair of frames, row 1, column 2
            model(film)
    changed = (trace[0].k != other[0].k)[0, 0].any(dim=-1).view(2, 3, 3)
    assert changed.nonzero().tolist() == [[1, 1, 2]]
    assert trace[0].rows(0).view(2, 2, 3, 3).sum(dim=(1, 2, 3)) == pytest.approx(1)
