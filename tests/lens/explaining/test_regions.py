"""Which regions a written word was predicted from, against explicit maps of the whole text."""

import pytest
import torch

pytest.importorskip("transformers")
from torch import nn
from transformers import (
    GemmaConfig,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    SiglipVisionConfig,
)

from saccade.errors import SaccadeError
from saccade.lens import Call, TokenMap, Trace, image_tokens, regions, watch

WORDS, IMAGE = 3, 40
SMALL = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 43, "head_dim": 6}  # fmt: skip


def qwen():
    """A picture of 6 x 10 patches, merged two by two."""
    text = {**SMALL, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 1]}}
    vision = {"depth": 1, "embed_dim": 16, "num_heads": 2, "hidden_size": 24, "patch_size": 4, "mlp_ratio": 2}
    marks = {"image_token_id": IMAGE, "vision_start_token_id": 41, "vision_end_token_id": 42, "video_token_id": 39}
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **marks))
    grid = torch.tensor([[1, 6, 10]])
    rows, columns = (grid[0, 1:] // model.config.vision_config.spatial_merge_size).tolist()
    ids = torch.tensor([[1, 41, *[IMAGE] * rows * columns, 42, 5, 7]])
    given = {"pixel_values": torch.randn(60, 3 * 2 * 4 * 4), "image_grid_thw": grid}
    kinds = (ids == IMAGE).int()
    return model, {**given, "input_ids": ids, "mm_token_type_ids": kinds}, (rows, columns), 2


def paligemma():
    vision = SiglipVisionConfig(hidden_size=16, intermediate_size=19, num_hidden_layers=1, num_attention_heads=2,
                                image_size=15, patch_size=5, projection_dim=24)  # fmt: skip
    both = {"vision_config": vision, "text_config": GemmaConfig(**SMALL), "projection_dim": 24}
    model = PaliGemmaForConditionalGeneration(PaliGemmaConfig(**both, image_token_index=IMAGE, hidden_size=24))
    ids = torch.tensor([[*[IMAGE] * 9, 2, 5, 7, 3]])
    given = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 15, 15), "token_type_ids": torch.zeros_like(ids)}
    return model, given, (3, 3), 0


def written(made):
    torch.manual_seed(3)
    model, given, grid, first = made()
    for p in model.parameters():
        nn.init.normal_(p, std=0.2)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    model.eval()
    with watch(model) as trace:
        ids = write(model, given)
    return model, given, grid, first, trace["*language_model*"], ids


def write(model, given, **options):
    return model.generate(**given, max_new_tokens=WORDS, min_new_tokens=WORDS, do_sample=False, **options)


@pytest.mark.parametrize("made", [qwen, paligemma])
def test_explicit_maps(made):
    model, given, grid, first, decoder, ids = written(made)
    places = image_tokens(given["input_ids"], IMAGE, grid)
    prompt = given["input_ids"].shape[1]
    assert places == TokenMap(grid, prefix=first, suffix=prompt - first - grid[0] * grid[1])
    found = regions(decoder, places)
    assert found.shape == (WORDS, *grid)
    model.set_attn_implementation("eager")
    model.config.get_text_config()._attn_implementation = "eager"
    with torch.no_grad():
        said = model.generate(**given, max_new_tokens=WORDS, min_new_tokens=WORDS, do_sample=False,
                              output_attentions=True, return_dict_in_generate=True)  # fmt: skip
    assert torch.equal(said.sequences, ids)
    patches = slice(first, first + grid[0] * grid[1])
    maps = torch.stack([torch.stack([layer[0, :, -1, patches] for layer in step]) for step in said.attentions])
    torch.testing.assert_close(found, maps.mean(dim=(1, 2)).unflatten(-1, grid), atol=1e-6, rtol=0)
    some = regions(decoder["*layers.1.*"], places, heads=[0, -1])
    torch.testing.assert_close(some, maps[:, 1, [0, 3]].mean(dim=1).unflatten(-1, grid), atol=1e-6, rtol=0)


def test_what_is_no_one_word_a_pass_is_named():
    model, given, grid, _, decoder, _ = written(paligemma)
    places = image_tokens(given["input_ids"], IMAGE, grid)
    with watch(model) as whole:
        write(model, given)
    with pytest.raises(SaccadeError, match="choose the calls of the decoder that writes"):
        regions(whole, TokenMap((3, 3)))
    with pytest.raises(SaccadeError, match=r"it has 13 targets where the prompt should have 10 tokens"):
        regions(decoder, TokenMap((3, 3), suffix=1))
    with watch(model) as beams:
        write(model, given, num_beams=2)
    with pytest.raises(SaccadeError, match="2 prompts or beams"):
        regions(beams["*language_model*"], places)
    with pytest.raises(SaccadeError, match="heads"):
        regions(decoder, places, heads=[])
    with pytest.raises(SaccadeError, match=r"head \[4\] of"):
        regions(decoder, places, heads=[4])
    with pytest.raises(SaccadeError, match="no name matches"):
        regions(whole["nothing"], places)


def test_a_cache_that_drops_tokens_is_refused():
    def call(n, m, run, filled=None):
        mask = None if filled is None else torch.arange(m).expand(1, m) < filled
        return Call("decoder", "self", torch.randn(1, 2, n, 6), torch.randn(1, 2, m, 6), mask=mask, run=run)

    kept = Trace([call(11, 11, 0), call(1, 12, 1), call(1, 13, 2)])
    assert regions(kept, TokenMap((2, 5), prefix=1)).shape == (3, 2, 5)
    room = Trace([call(11, 19, 0, filled=11), call(1, 19, 1, filled=12)])
    assert regions(room, TokenMap((2, 5), prefix=1)).shape == (2, 2, 5)
    with pytest.raises(SaccadeError, match="attends to more than the 11 tokens"):  # as with a tuned prefix
        regions(Trace([call(11, 15, 0)]), TokenMap((2, 5), prefix=1))
    for dropped in (Trace([call(11, 11, 0), call(1, 12, 1), call(1, 12, 2)]), Trace([call(11, 9, 0)])):
        with pytest.raises(SaccadeError, match="some were dropped"):
            regions(dropped, TokenMap((2, 5), prefix=1))
    several = Trace([call(11, 11, 0), call(2, 13, 1)])
    with pytest.raises(SaccadeError, match="it has 2 targets in pass 1"):
        regions(several, TokenMap((2, 5), prefix=1))


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([1, 2, 3], "has none of token 40; expected 2 x 3 = 6"),
        ([1, *[IMAGE] * 5, 3], "has 5, from place 1 to 5"),
        ([1, *[IMAGE] * 3, 9, *[IMAGE] * 3, 3], "has 6, from place 1 to 7"),
    ],
)
def test_pictures_that_lie_otherwise(ids, found):
    with pytest.raises(SaccadeError, match=found):
        image_tokens(torch.tensor([ids]), IMAGE, (2, 3))
    with pytest.raises(SaccadeError, match=r"shape \(2, 3\): expected those of one prompt"):
        image_tokens(torch.zeros(2, 3, dtype=torch.long), IMAGE, (2, 3))
