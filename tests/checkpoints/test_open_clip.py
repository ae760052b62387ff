"""open_clip's matchers: what they say is open_clip's own, in both of its layouts."""

import json

import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("transformers")

from saccade.checkpoints import open_clip as module
from saccade.checkpoints.files import open_checkpoint
from saccade.checkpoints.matchers import is_text_image_model, load_matcher
from saccade.errors import CheckpointError
from saccade.tasks import load
from saccade.tasks.public_loading import load_match_task

from . import tiny_open_clip
from .tiny_open_clip import save, weights

# open_clip 3.3.0: the first four numbers of the embeddings of two texts and of pictures of the generator's seed 5.
TEXTS = ["a red ball", "blue star on a table"]
EXPECTED = {
    False: (
        [[-0.13114, -0.30577, 0.12858, 0.22142], [-0.18373, -0.23527, 0.14454, 0.24403]],
        [[-0.99992, 0.55944, 0.18881, 0.07697], [-0.97001, 0.46441, 0.24074, 0.01594]],
    ),
    True: (
        [[-0.13258, -0.30023, 0.13185, 0.21744], [-0.18632, -0.23027, 0.14861, 0.24001]],
        [[-1.00488, 0.55388, 0.18868, 0.07662], [-0.97459, 0.45951, 0.24087, 0.01551]],
    ),
}


def pixels():
    return torch.randn(2, 3, 35, 35, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("quick", [False, True])
@torch.no_grad()
def test_embeddings_are_those_of_open_clip(tmp_path, nested, quick):
    matcher = load_matcher(save(tmp_path, nested, quick=quick))
    texts, pictures = EXPECTED[quick]
    for text, expected in zip(TEXTS, texts, strict=True):
        found = matcher.embed_texts(matcher.read(text).ids)[0, :4]
        torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)
    torch.testing.assert_close(matcher.embed_images(pixels())[:, :4], torch.tensor(pictures), atol=1e-5, rtol=0)
    assert matcher.notes == []
    assert (matcher.max_tokens, matcher.family) == (tiny_open_clip.CONTEXT, "clip")


@pytest.mark.parametrize("nested", [False, True])
@torch.no_grad()
def test_beside_the_installed_open_clip(tmp_path, nested):
    own = pytest.importorskip("open_clip.model", exc_type=Exception, reason="open_clip cannot be imported")
    matcher = load_matcher(save(tmp_path, nested))
    model = (own.CustomTextCLIP if nested else own.CLIP)(**tiny_open_clip.MODEL).eval()
    model.load_state_dict(weights(nested))
    torch.testing.assert_close(matcher.embed_images(pixels()), model.encode_image(pixels()), atol=1e-5, rtol=0)
    ids = matcher.read(TEXTS[1]).ids
    padded = torch.cat([ids, ids.new_zeros(1, tiny_open_clip.CONTEXT - ids.shape[1])], dim=1)
    torch.testing.assert_close(matcher.embed_texts(ids), model.encode_text(padded), atol=1e-5, rtol=0)


def test_pictures_are_prepared_as_its_config_says(tmp_path):
    preprocess = load_matcher(save(tmp_path)).preprocess
    assert (preprocess.size, preprocess.shortest, preprocess.resize) == ((35, 35), 35, "crop")
    assert (preprocess.mean, preprocess.std) == ((0.5,) * 3, (0.4,) * 3)
    assert preprocess == load(tmp_path).preprocess, "that of the picture tower alone"


def test_a_model_trained_with_a_bias_scores_each_text_alone(tmp_path):
    save(tmp_path)
    assert not load_match_task(tmp_path).independent_scores
    save_file(weights() | {"logit_bias": torch.tensor(-3.0)}, tmp_path / "open_clip_model.safetensors")
    task = load_match_task(tmp_path)
    assert task.independent_scores
    assert task.model.logit_bias.item() == -3
    assert task.notes == []


def test_the_picture_tower_alone_says_that_there_is_text(tmp_path):
    assert is_text_image_model(open_checkpoint(save(tmp_path)))
    assert any("give --text" in note for note in load(tmp_path).notes)
    vision = {name: tensor for name, tensor in weights().items() if name.startswith("visual.")}
    save_file(vision, tmp_path / "open_clip_model.safetensors")
    assert not is_text_image_model(open_checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"vision_cfg": {"pool_type": "avg"}}, "vision_cfg has pool_type 'avg', which is not supported; 'tok' is"),
        ({"vision_cfg": {"timm_model_name": "vit_base"}}, "timm_model_name 'vit_base'"),
        ({"text_cfg": {"hf_model_name": "roberta-base"}}, "hf_model_name 'roberta-base'"),
        ({"text_cfg": {"no_causal_mask": True}}, "no_causal_mask True"),
        ({"vision_cfg": {"image_size": [35, 42]}}, "pictures of 35 x 42 pixels"),
    ],
)
def test_towers_that_are_not_clips(tmp_path, changes, found):
    with pytest.raises(CheckpointError, match=found):
        load_matcher(save(tmp_path, **changes))


def test_weights_that_are_not_clips(tmp_path):
    save(tmp_path)
    file = tmp_path / "open_clip_model.safetensors"
    save_file(weights() | {"visual.transformer.resblocks.1.ls_1.gamma": torch.ones(128)}, file)
    with pytest.raises(CheckpointError, match=r"the weight visual.transformer.resblocks.1.ls_1.gamma is of no part"):
        load_matcher(tmp_path)
    some = weights()
    del some["ln_final.bias"]
    save_file(some, file)
    with pytest.raises(CheckpointError, match=r"1 weights are missing: text_model.final_layer_norm.bias"):
        load_matcher(tmp_path)


def test_a_tower_of_timm(tmp_path):
    save(tmp_path)
    renamed = {name.replace("visual.conv1", "visual.trunk.patch_embed.proj"): each for name, each in weights().items()}
    save_file(renamed, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"only those whose towers are CLIP's or SigLIP's .* as transformers writes it"
    ):
        load_matcher(tmp_path)


def test_without_a_config(tmp_path):
    (save(tmp_path) / "open_clip_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no open_clip_config.json with a model_cfg"):
        load_matcher(tmp_path)


def test_without_a_tokenizer(tmp_path, monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError, match=r"no tokenizer.json, .* pip install open_clip_torch brings it; or copy"):
        load_matcher(save(tmp_path, tokenizer=False))
    with pytest.raises(CheckpointError, match="copy that of timm/ViT-B-16-SigLIP on the hub into the folder"):
        load_matcher(save(tmp_path, tokenizer=False, text_cfg={"hf_tokenizer_name": "timm/ViT-B-16-SigLIP"}))


def test_the_vocabulary_of_an_installed_open_clip(tmp_path, monkeypatch):
    """A vocabulary of letters and two merges, laid out as the package's."""
    import gzip
    from types import SimpleNamespace

    lines = ["#version", "r e", "re d</w>", "not used"]
    (tmp_path / module._VOCABULARY).write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setattr(module, "_MERGES", 2)
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: spec if name == "open_clip" else None)
    source = open_checkpoint(save(tmp_path / "model", tokenizer=False))
    tokenizer = module.clip_tokenizer(source)
    ids = tokenizer.encode("A RED re").ids
    letters = {letter: i for i, letter in enumerate(module._byte_letters())}
    assert ids == [514, letters["a"] + 256, 513, letters["r"], letters["e"] + 256, 515]
    assert letters["!"] == 0
    assert len(letters) == 256


def test_search_and_predict_take_it(tmp_path):
    task = load_match_task(save(tmp_path))
    assert json.loads((tmp_path / "open_clip_config.json").read_text())["model_cfg"]["embed_dim"] == 11
    assert task.encode_texts(TEXTS).vector.shape == (2, tiny_open_clip.PROJECTION)
