"""Public models of text and pictures: what they say is transformers' own, and what is no such model is refused."""

import json

import pytest
import torch

pytest.importorskip("transformers")
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from saccade.checkpoints.files import open_checkpoint
from saccade.checkpoints.matchers import KINDS, is_text_image_model, load_matcher
from saccade.errors import CheckpointError, DataError

from . import tiny_matchers
from .tiny_matchers import END, PAD, START, save


@pytest.mark.parametrize("family", KINDS)
@torch.no_grad()
def test_embeddings_are_those_of_transformers(family, tmp_path):
    own = tiny_matchers.tiny(family)
    matcher = load_matcher(save(tmp_path, family, own))
    reading = matcher.read("a Red table, on")
    pixels = torch.randn(1, 3, 35, 35)
    text = matcher.embed_texts(reading.ids)
    torch.testing.assert_close(matcher.embed_images(pixels), own.get_image_features(pixels).pooler_output)
    torch.testing.assert_close(text, own.get_text_features(reading.ids).pooler_output)
    assert matcher.notes == []
    assert reading.ids.shape == (1, 12 if family == "siglip" else 8)
    assert torch.equal(reading.ids[0, 8:], torch.full_like(reading.ids[0, 8:], PAD))


def test_pieces_are_words(tmp_path):
    matcher = load_matcher(save(tmp_path))
    reading = matcher.read("A  Red table,red")
    assert reading.words == ["A", "Red", "table", ",", "red"], "as written"
    assert reading.groups == [[1], [2], [3, 4], [5], [6]]
    assert reading.ids.tolist() == [[START, 3, 4, 7, 8, 9, 4, END]]
    assert matcher.replace_words_by_padding(reading).tolist() == [[START, *[PAD] * 6, END]]


def test_words_of_a_tokenizer_that_sees_none(tmp_path):
    """Gemma's, of SigLIP 2, cuts the whole text at once: spaces part its words."""
    pieces = [("<unk>", 0.0), ("▁a", -1.0), ("▁ta", -2.0), ("ble", -2.0), ("▁re", -2.0), ("d", -2.0), ("a", -3.0)]
    made = Tokenizer(models.Unigram(pieces, unk_id=0))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.save(str(save(tmp_path) / "tokenizer.json"))
    reading = load_matcher(tmp_path).read("a table red")
    assert (reading.words, reading.groups) == (["a", "table", "red"], [[0], [1, 2], [3, 4]])


@pytest.mark.parametrize("spaces", ["removed", "tokens", "in one word"])
def test_characters_of_several_tokens_are_one_word(spaces, tmp_path):
    """CLIP's tokenizer and its kin cut bytes: a letter of Korean is three of them, a balloon four."""
    made = Tokenizer(models.BPE({each: i for i, each in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=spaces != "in one word")
    apart = [pre_tokenizers.WhitespaceSplit()] if spaces == "removed" else []
    made.pre_tokenizer = pre_tokenizers.Sequence([*apart, cut])
    folder = save(tmp_path, model=tiny_matchers.tiny("clip", vocab_size=256, max_position_embeddings=40))
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"pad_token": "!"}')
    matcher = load_matcher(folder)
    for text, sizes in (("red 강", [3, 3]), ("공 빨간  🎈", [3, 6, 4]), ("a 강b", [1, 4]), ("빨 빨", [3, 3])):
        reading = matcher.read(text)
        assert reading.words == text.split()
        assert [len(group) for group in reading.groups] == sizes
        assert [token for group in reading.groups for token in group] == [
            i for i, (start, end) in enumerate(made.encode(text).offsets) if text[start:end].strip()
        ]


def test_texts_that_cannot_be_read(tmp_path):
    matcher = load_matcher(save(tmp_path))
    with pytest.raises(DataError, match="the text '  ' has no words"):
        matcher.read("  ")
    assert matcher.max_tokens == 12, "less than there are positions, as tokenizer_config.json says"
    matcher.read("a " * 10)
    with pytest.raises(DataError, match=r"has 11 tokens; .* takes 10 besides its marks"):
        matcher.read("a " * 11)


def test_roberta_counts_positions_from_its_padding(tmp_path):
    folder = save(tmp_path, "altclip")
    (folder / "tokenizer_config.json").write_text('{"pad_token": "<pad>"}')
    assert load_matcher(folder).max_tokens == 15


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"model_type": "vit"}, "reads no text to match with pictures: a model_type 'vit'; expected one of CLIPModel"),
        ({"architectures": ["CLIPVisionModel"]}, "reads no text to match with pictures: CLIPVisionModel"),
        ({"model_type": "siglip2"}, "by a siglip2 here: its pictures are prepared as patches of any shape"),
        ({"model_type": "vilt"}, "by a vilt here: words and patches attend to one another inside it: saccade.watch"),
        ({"model_type": "align"}, "it has no patches that attend"),
        ({"model_type": ["clip"]}, "reads no text"),
        ({"quantization_config": {}}, "its weights are quantised"),
    ],
)
def test_other_checkpoints_are_no_matchers(fields, found, tmp_path):
    path = save(tmp_path) / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    with pytest.raises(CheckpointError, match=found) as error:
        load_matcher(tmp_path)
    assert "\n" not in str(error.value)
    assert is_text_image_model(open_checkpoint(tmp_path)) == ("quantization_config" in fields)


def test_tokenizers_that_cannot_be_used(tmp_path):
    path = save(tmp_path) / "tokenizer.json"
    other = Tokenizer(models.WordLevel({"red": 99}, unk_token="red"))
    other.save(str(path))
    with pytest.raises(CheckpointError, match=r"makes token 99, and the model has 15: they are not of the same model"):
        load_matcher(tmp_path).read("red")
    path.write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer.json is no tokenizer that can be read"):
        load_matcher(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer.json, which says how text is cut"):
        load_matcher(tmp_path)


def test_pickles_are_refused(tmp_path):
    (save(tmp_path) / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="a pickle"):
        load_matcher(tmp_path)
