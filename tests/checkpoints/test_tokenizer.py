"""Tokenizers of matchers: what their class does to a text, beside what tokenizer.json holds."""

import json
import struct

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer

from saccade.checkpoints.matchers import load_matcher
from saccade.errors import CheckpointError

from .tiny_matchers import save, tiny

LETTERS = "ARSTarest"
UNIGRAM = [
    "</s>",
    "<unk>",
    "▁",
    "▁a",
    "▁red",
    "▁st",
    "ar",
    "a",
    "r",
    "e",
    "d",
    "s",
    "t",
    "한",
]  # SigLIP's eos is 0 or 1


def siglip_2(folder, name="Siglip2Tokenizer"):
    """A tokenizer of Gemma's kind, whose words are letters, in a folder of a SigLIP."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], unk_token="<unk>"))
    made.normalizer = normalizers.Replace(" ", "▁")
    made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    made.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    made.save(str(save(folder, "siglip") / "tokenizer.json"))
    settings = {f"{part}_token": f"<{part}>" for part in ("pad", "eos", "bos", "unk")}
    config = {"tokenizer_class": name, "model_max_length": 16, "padding_side": "right", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def field(number: int, value: int | float | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2]) + length(len(value)) + value


def length(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + length(number >> 7)


def spiece(normalizer: bytes = b"nmt_nfkc", kind: int = 1) -> bytes:
    """A sentencepiece model; longer pieces are more likely."""
    special = {"</s>": 3, "<unk>": 2}
    pieces = b"".join(
        field(1, field(1, text.encode()) + field(2, float(len(text) - 20)) + field(3, special.get(text, 1)))
        for text in UNIGRAM
    )
    return pieces + field(2, field(3, kind)) + field(3, field(1, normalizer))


def siglip(folder, data: bytes):
    """A folder of a SigLIP as transformers saves it: without tokenizer.json."""
    (save(folder, "siglip", tiny("siglip")) / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(data)
    config = {"tokenizer_class": "SiglipTokenizer", "pad_token": "</s>", "eos_token": "</s>", "model_max_length": 16}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def test_siglip_2_reads_lower_case(tmp_path):
    matcher = load_matcher(siglip_2(tmp_path))
    wanted = AutoTokenizer.from_pretrained(tmp_path)("A Red STAR", padding="max_length", max_length=16)["input_ids"]
    assert matcher.read("A Red STAR").ids[0].tolist() == wanted
    assert matcher.read("A Red STAR").words == ["A", "Red", "STAR"]


def test_capitals_that_a_tokenizer_keeps_are_noted(tmp_path):
    matcher = load_matcher(siglip_2(tmp_path, "GemmaTokenizer"))
    assert any("write in lower case" in note for note in matcher.notes)
    assert matcher.read("A").ids[0, 0] != matcher.read("a").ids[0, 0]


def test_the_class_of_siglip_lowers_texts_and_removes_marks(tmp_path):
    matcher = load_matcher(siglip_2(tmp_path, "SiglipTokenizer"))
    assert matcher.read("A  Red, STAR!").ids.tolist() == matcher.read("a red star").ids.tolist()


def test_a_siglip_without_tokenizer_json(tmp_path):
    matcher = load_matcher(siglip(tmp_path, spiece()))
    read = matcher.read(" A Red,  STAR!")
    ids = [UNIGRAM.index(piece) for piece in ("▁a", "▁red", "▁st", "ar", "</s>")]
    assert read.ids[0].tolist() == ids + [0] * 11
    assert read.words == ["A", "Red", "STAR"]
    assert matcher.read("글").ids[0, :3].tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not read; nmt_nfkc is"),
        (b"{}", "no protocol buffer|cut short"),
        (spiece()[:-3], "cut short"),
        (spiece(b"identity"), "normalized by b'identity'"),
        (spiece(kind=2), "not unigram"),
        (field(1, field(1, b"\xff")), "is no sentencepiece model that can be read"),
        (field(1, b""), "is no sentencepiece model"),
        (b"\xff" * 30, "cut short or damaged"),
        (spiece() + field(3, field(1, b"nmt_nfkc") + field(2, b"\x01\x02\x03")), "is no sentencepiece model"),
    ],
)  # fmt: skip
def test_sentencepiece_models_that_are_not_read(data, message, tmp_path):
    with pytest.raises(CheckpointError, match=message) as refused:
        load_matcher(siglip(tmp_path, data))
    assert "spiece.model" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_neither_file(tmp_path):
    (siglip(tmp_path, b"") / "spiece.model").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer.json, which says how text is cut"):
        load_matcher(tmp_path)
