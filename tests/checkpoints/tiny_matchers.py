"""Matchers of every family that is read, tiny and with random weights, in folders as transformers writes them."""

import json

import torch
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

SIDE, PATCH = 35, 7
PIECES = ["<pad>", "<s>", "<unk>", "a", "red", "ball", "on", "tab", "##le", ",", "blue", "star", "빨간", "공", "</s>"]
PAD, START, END = 0, 1, len(PIECES) - 1
_SMALL = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 3, "num_attention_heads": 2}
_VISION = {**_SMALL, "image_size": SIDE, "patch_size": PATCH, "projection_dim": 13}
_TEXT = {
    **_SMALL, "vocab_size": len(PIECES), "max_position_embeddings": 16, "projection_dim": 13, "bos_token_id": START,
    "eos_token_id": END, "pad_token_id": PAD,
}  # fmt: skip
MAKE = {
    "clip": lambda **text: hf.CLIPModel(
        hf.CLIPConfig(text_config={**_TEXT, **text}, vision_config=_VISION, projection_dim=13)
    ),
    "siglip": lambda: hf.SiglipModel(
        hf.SiglipConfig(text_config={**_TEXT, "projection_size": 24}, vision_config=_VISION)
    ),
    "altclip": lambda: hf.AltCLIPModel(
        hf.AltCLIPConfig(text_config={**_TEXT, "project_dim": 13}, vision_config=_VISION, projection_dim=13)
    ),
    "chinese_clip": lambda: hf.ChineseCLIPModel(
        hf.ChineseCLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=13)
    ),
    "metaclip_2": lambda: hf.MetaClip2Model(
        hf.MetaClip2Config(text_config=_TEXT, vision_config=_VISION, projection_dim=13)
    ),
}


def tiny(family, **text):
    torch.manual_seed(7)
    model = MAKE[family](**text).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.2)
    return model


def tokenizer():
    """Words, cut into pieces, between a mark of begin and one of end."""
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [("<s>", START), ("</s>", END)]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    made.enable_padding(length=9)
    made.enable_truncation(5)
    return made


def save(folder, family="clip", model=None):
    """A folder as of the hub."""
    (tiny(family) if model is None else model).save_pretrained(folder)
    tokenizer().save(str(folder / "tokenizer.json"))
    fields = {"pad_token": {"content": "<pad>"}, "model_max_length": 12, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(fields))
    kind = "SiglipImageProcessor" if family == "siglip" else "CLIPImageProcessor"
    size = {"height": SIDE, "width": SIDE} if family == "siglip" else {"shortest_edge": SIDE}
    pictures = {
        "image_processor_type": kind, "size": size, "crop_size": {"height": SIDE, "width": SIDE}, "resample": 3,
        "do_center_crop": family != "siglip", "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return folder
