"""open_clip's SigLIP: its embeddings are open_clip's own, and texts are cleaned as there."""

import json

import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("transformers")

from saccade.checkpoints.files import open_checkpoint
from saccade.checkpoints.matchers import is_text_image_model, load_matcher
from saccade.errors import CheckpointError, DataError
from saccade.tasks.public_loading import load_match_task

from .tiny_open_siglip import CONTEXT, WIDTH, save, weights

# open_clip 3.3.0 and timm 1.0.31: the first four numbers of the embeddings of two texts and of pictures of the
# generator's seed 5.
TEXTS = ["a red ball", "blue star, on a table"]
OF_TEXTS = [[-0.0160513, 0.2119635, -0.0684688, 0.0037898], [-0.0198036, 0.2104164, -0.0608363, 0.0039904]]
OF_PICTURES = [[-0.3410709, 0.0603025, -0.2131007, 0.2798117], [-0.2659878, 0.0021859, -0.2536671, 0.1777655]]


@torch.no_grad()
def test_embeddings_are_those_of_open_clip(tmp_path):
    matcher = load_matcher(save(tmp_path))
    for text, expected in zip(TEXTS, OF_TEXTS, strict=True):
        found = matcher.embed_texts(matcher.read(text).ids)[0, :4]
        torch.testing.assert_close(found, torch.tensor(expected), atol=2e-6, rtol=0)
    pixels = torch.randn(2, 3, 35, 35, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(matcher.embed_images(pixels)[:, :4], torch.tensor(OF_PICTURES), atol=2e-6, rtol=0)
    assert matcher.notes == []
    assert (matcher.max_tokens, matcher.family, matcher.padding) == (CONTEXT, "siglip", 0)
    assert (matcher.preprocess.resize, matcher.preprocess.size) == ("stretch", (35, 35))
    assert matcher.model.logit_scale.item() == weights()["logit_scale"].item()
    assert matcher.model.logit_bias.item() == weights()["logit_bias"].item()


@pytest.mark.parametrize(
    ("name", "activation"),  # of the towers of timm 1.0.31
    [
        ("vit_base_patch16_siglip_512", "gelu"),
        ("vit_base_patch32_siglip_256", "gelu_pytorch_tanh"),
        ("vit_large_patch16_siglip_384", "gelu"),
        ("vit_large_patch16_siglip_512", "gelu_pytorch_tanh"),
        ("vit_so400m_patch14_siglip_378", "gelu"),
        ("vit_so400m_patch16_siglip_256", "gelu_pytorch_tanh"),
        ("vit_giantopt_patch16_siglip_384", "gelu_pytorch_tanh"),
    ],
)
def test_activations_are_those_of_timms_names(tmp_path, name, activation):
    config = load_matcher(save(tmp_path, vision_cfg={"timm_model_name": name})).model.config
    assert (config.vision_config.hidden_act, config.text_config.hidden_act) == (activation, "gelu")
    save(tmp_path, text_cfg={"act_kwargs": {"approximate": "tanh"}})
    assert load_matcher(tmp_path).model.config.text_config.hidden_act == "gelu_pytorch_tanh"


def test_texts_are_in_lower_case_and_without_punctuation(tmp_path):
    matcher = load_matcher(save(tmp_path))
    plain, marked = (
        matcher.read("a red ball on a table"),
        matcher.read("A Red_ball!  on\ta (`table`), \\ ^ [ ]"),
    )
    assert plain.ids.tolist() == marked.ids.tolist()
    assert plain.ids.shape == (1, CONTEXT)
    assert marked.words == ["A", "Red", "ball", "on", "a", "table"]
    with pytest.raises(DataError, match="has no words"):
        matcher.read("?!")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"vision_cfg": {"timm_model_name": "vit_base_patch16_siglip_gap_224"}}, "as 'vit_base_patch16_siglip_224' is"),
        ({"vision_cfg": {"timm_pool": "avg"}}, "timm_pool 'avg', which is not supported; 'map' is"),
        ({"text_cfg": {"proj_type": "none"}}, "proj_type 'none'"),
        ({"text_cfg": {"no_causal_mask": False}}, "no_causal_mask False"),
        ({"text_cfg": {"act_kwargs": {"approximate": "none"}}}, "act_kwargs {'approximate': 'none'}"),
        ({"text_cfg": {"tokenizer_kwargs": {"strip_sep_token": True}}}, "tokenizer_kwargs {'strip_sep_token': True}"),
        ({"vision_cfg": {"image_size": [35, 42]}}, "pictures of 35 x 42 pixels"),
    ],
)
def test_other_towers_are_refused(tmp_path, changes, found):
    with pytest.raises(CheckpointError, match=found):
        load_matcher(save(tmp_path, **changes))


def test_what_a_config_leaves_out_is_as_in_open_clip(tmp_path):
    path = save(tmp_path) / "open_clip_config.json"
    config = json.loads(path.read_text())
    del config["model_cfg"]["text_cfg"]["pool_type"]
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="pool_type 'argmax', which is not supported; 'last' is"):
        load_matcher(tmp_path)


def test_weights_of_no_part_and_missing_ones(tmp_path):
    file = save(tmp_path) / "open_clip_model.safetensors"
    save_file(weights() | {"visual.head.proj.weight": torch.ones(3)}, file)
    with pytest.raises(CheckpointError, match=r"the weight visual.head.proj.weight is of no part of SigLIP"):
        load_matcher(tmp_path)
    some = weights()
    del some["visual.trunk.attn_pool.q.bias"]
    save_file(some, file)
    with pytest.raises(CheckpointError, match=r"1 weights are missing: vision_model.head.attention.in_proj_bias"):
        load_matcher(tmp_path)
    save_file(weights() | {"visual.trunk.attn_pool.q_norm.weight": torch.ones(3)}, file)
    with pytest.raises(CheckpointError, match=r"attn_pool.q_norm.weight is of no part of SigLIP"):
        load_matcher(tmp_path)


def test_which_token_is_padding_is_not_guessed(tmp_path):
    with pytest.raises(CheckpointError, match="names a token for padding"):
        load_matcher(save(tmp_path, settings=False))


def test_search_and_predict_take_it(tmp_path):
    assert is_text_image_model(open_checkpoint(save(tmp_path)))
    task = load_match_task(tmp_path)
    assert task.encode_texts(TEXTS).vector.shape == (2, WIDTH)
    assert task.independent_scores
