"""Tiny models of transformers that write about pictures, with random weights, saved as checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

# Special tokens of all families; their numbers are the same in every tokenizer.
SPECIAL = [
    "<pad>", "<s>", "</s>", "<unk>", "<image>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>",
    "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<IMG_CONTEXT>", "<img>", "</img>",
    "<start_of_image>", "<end_of_image>", "<image_soft_token>",
    *(f"<row_{i}_col_{j}>" for i in range(1, 4) for j in range(1, 4)),
]  # fmt: skip
MERGES = [("Ġ", "r"), ("e", "d"), ("Ġr", "ed"), ("Ġ", "s"), ("a", "r"), ("t", "ar")]
VOCABULARY = len(SPECIAL) + 256 + len(MERGES)
ENDS: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 19,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "vocab_size": VOCABULARY,
    **ENDS,
}
OLD_TEXT = {key: value for key, value in TEXT.items() if key not in ("num_key_value_heads", "head_dim")}
VISION = {"hidden_size": 24, "intermediate_size": 19, "num_hidden_layers": 2, "num_attention_heads": 2}
CHAT = (
    "{% for m in messages %}{% for c in m.content %}{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}{% endfor %}"
)


def number(token: str) -> int:
    return SPECIAL.index(token)


def tokenizer(**named: str) -> Any:
    """Bytes, a few pairs of them, and the special tokens; `named` are attributes that processors look up."""
    every = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in MERGES)]
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(every)}, MERGES))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    ends = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    out = hf.PreTrainedTokenizerFast(
        tokenizer_object=made, **ends, **({"extra_special_tokens": named} if named else {})
    )
    out.add_special_tokens({"additional_special_tokens": SPECIAL})
    return out


def square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def llava() -> tuple:
    vision = hf.CLIPVisionConfig(image_size=35, patch_size=7, **VISION)
    config = hf.LlavaConfig(vision_config=vision, text_config=hf.LlamaConfig(**TEXT), image_token_id=number("<image>"))
    images = hf.CLIPImageProcessorPil(size={"shortest_edge": 35}, crop_size=square(35))
    settings = {"patch_size": 7, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return hf.LlavaForConditionalGeneration(config), images, tokenizer(), CHAT, settings, "LlavaProcessor"


def llava_next() -> tuple:
    points = [[28, 56], [56, 28], [56, 56]]
    vision = hf.CLIPVisionConfig(image_size=28, patch_size=7, **VISION)
    config = hf.LlavaNextConfig(
        vision_config=vision,
        text_config=hf.LlamaConfig(**TEXT),
        image_token_index=number("<image>"),
        image_grid_pinpoints=points,
    )
    images = hf.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size=square(28), image_grid_pinpoints=points
    )
    settings = {"patch_size": 7, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
    return hf.LlavaNextForConditionalGeneration(config), images, tokenizer(), CHAT, settings, "LlavaNextProcessor"


def qwen2_vl() -> tuple:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 1]}
    config = hf.Qwen2VLConfig(
        text_config={**TEXT, "rope_parameters": rope},
        vision_config={"depth": 2, "embed_dim": 24, "hidden_size": 24, "num_heads": 2, "mlp_ratio": 2, "patch_size": 7},
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    sizes = {"shortest_edge": 14 * 14 * 6, "longest_edge": 14 * 14 * 30}
    images = hf.Qwen2VLImageProcessorPil(patch_size=7, merge_size=2, size=sizes)
    chat = CHAT.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
    return hf.Qwen2VLForConditionalGeneration(config), images, tokenizer(), chat, {}, "Qwen2VLProcessor"


def paligemma() -> tuple:
    config = hf.PaliGemmaConfig(
        vision_config={
            "model_type": "siglip_vision_model",
            "image_size": 35,
            "patch_size": 7,
            "projection_dim": 24,
            **VISION,
        },
        text_config={"model_type": "gemma", **TEXT},
        image_token_index=number("<image>"),
        projection_dim=24,
        hidden_size=24,
    )
    images = hf.SiglipImageProcessorPil(size=square(35), image_seq_length=25)
    images.image_seq_length = 25
    return hf.PaliGemmaForConditionalGeneration(config), images, tokenizer(), "", {}, "PaliGemmaProcessor"


def internvl() -> tuple:
    config = hf.InternVLConfig(
        vision_config={"model_type": "internvl_vision", "image_size": [28, 28], "patch_size": [7, 7], **VISION},
        text_config={"model_type": "qwen2", **{key: x for key, x in TEXT.items() if key != "head_dim"}},
        image_token_id=number("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )
    images = hf.GotOcr2ImageProcessorPil(size=square(28), crop_to_patches=True, max_patches=6, min_patches=1)
    named = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    words = tokenizer(**named, video_token="<|video_pad|>")
    chat = CHAT.replace("<image>", "<IMG_CONTEXT>\n")
    return (
        hf.InternVLForConditionalGeneration(config),
        images,
        words,
        chat,
        {"image_seq_length": 4},
        "InternVLProcessor",
    )


def idefics3() -> tuple:
    config = hf.Idefics3Config(
        vision_config={"image_size": 32, "patch_size": 4, **VISION},
        text_config={"model_type": "llama", **TEXT},
        image_token_id=number("<image>"),
        scale_factor=2,
    )
    images = hf.Idefics3ImageProcessorPil(size={"longest_edge": 96}, max_image_size={"longest_edge": 32})
    settings = {"image_seq_len": 16}
    return hf.Idefics3ForConditionalGeneration(config), images, tokenizer(), CHAT, settings, "Idefics3Processor"


def gemma3() -> tuple:
    config = hf.Gemma3Config(
        vision_config={"image_size": 56, "patch_size": 7, **VISION},
        text_config={"sliding_window": 20, **TEXT},
        mm_tokens_per_image=16,
        image_token_id=number("<image_soft_token>"),
        boi_token_index=number("<start_of_image>"),
        eoi_token_index=number("<end_of_image>"),
    )
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    chat, images = CHAT.replace("<image>", "<start_of_image>"), hf.Gemma3ImageProcessorPil(size=square(56))
    model = hf.Gemma3ForConditionalGeneration(config)
    return model, images, tokenizer(**named), chat, {"image_seq_length": 16}, "Gemma3Processor"


def blip2() -> tuple:
    queries = {**VISION, "encoder_hidden_size": 24, "vocab_size": VOCABULARY}
    text = {"hidden_size": 24, "ffn_dim": 19, "num_hidden_layers": 2, "num_attention_heads": 4, **ENDS}
    config = hf.Blip2Config(
        vision_config={"image_size": 28, "patch_size": 7, **VISION},
        qformer_config=queries,
        text_config={"model_type": "opt", "vocab_size": VOCABULARY, "word_embed_proj_dim": 24, **text},
        num_query_tokens=4,
        image_token_index=number("<image>"),
    )
    images = hf.BlipImageProcessorPil(size=square(28))
    settings = {"num_query_tokens": 4}
    return hf.Blip2ForConditionalGeneration(config), images, tokenizer(), "", settings, "Blip2Processor"


def florence2() -> tuple:
    vision = {"embed_dim": [12, 24], "depths": [1, 1], "num_heads": [2, 2], "num_groups": [2, 2], "patch_size": [7, 3]}
    strides = {"patch_stride": [4, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True], "window_size": 3}
    text = {"d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 19, "decoder_ffn_dim": 19}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "vocab_size": VOCABULARY}
    start = {**ENDS, "decoder_start_token_id": 2, "forced_bos_token_id": None}
    config = hf.Florence2Config(
        vision_config={**vision, **strides, "projection_dim": 24, "max_position_embeddings": 20},
        text_config={"model_type": "bart", "max_position_embeddings": 100, **text, **heads, **start},
        image_token_id=number("<image>"),
        is_encoder_decoder=True,
        **start,
    )
    images = hf.CLIPImageProcessorPil(size=square(40), do_center_crop=False)
    images.image_seq_length = 26
    words, settings = tokenizer(image_token="<image>"), {"num_additional_image_tokens": 1}
    return hf.Florence2ForConditionalGeneration(config), images, words, "", settings, "Florence2Processor"


def blip() -> tuple:
    text = {**OLD_TEXT, "encoder_hidden_size": 24, "projection_dim": 24, "sep_token_id": 2, "is_decoder": True}
    vision = {"image_size": 28, "patch_size": 7, "projection_dim": 24, **VISION}
    model = hf.BlipForConditionalGeneration(hf.BlipConfig(text_config=text, vision_config=vision))
    return model, hf.BlipImageProcessorPil(size=square(28)), tokenizer(), "", {}, "BlipProcessor"


def git() -> tuple:
    config = hf.GitConfig(vision_config={"image_size": 28, "patch_size": 7, **VISION}, **OLD_TEXT)
    images = hf.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=square(28))
    return hf.GitForCausalLM(config), images, tokenizer(), "", {}, "GitProcessor"


def _encoder_decoder(encoder: Any, decoder: Any) -> Any:
    model = hf.VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    return model


def donut() -> tuple:
    vision = hf.DonutSwinConfig(
        image_size=[32, 48], patch_size=4, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=2
    )
    text = hf.MBartConfig(
        vocab_size=VOCABULARY, d_model=24, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=19,
        encoder_layers=2, is_decoder=True, add_cross_attention=True, max_position_embeddings=64, **ENDS,
    )  # fmt: skip
    model = _encoder_decoder(hf.DonutSwinModel(vision), hf.MBartForCausalLM(text))
    return model, hf.DonutImageProcessorPil(size={"height": 32, "width": 48}), tokenizer(), "", {}, "DonutProcessor"


def trocr() -> tuple:
    vision = hf.DeiTModel(hf.DeiTConfig(image_size=28, patch_size=7, **VISION), add_pooling_layer=False)
    text = hf.TrOCRConfig(
        vocab_size=VOCABULARY, d_model=24, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=19,
        cross_attention_hidden_size=24, max_position_embeddings=64, **ENDS, decoder_start_token_id=1,
    )  # fmt: skip
    model = _encoder_decoder(vision, hf.TrOCRForCausalLM(text))
    return model, hf.ViTImageProcessorPil(size=square(28)), tokenizer(), "", {}, "TrOCRProcessor"


# Each family, and a size of pictures (width, height) whose cells lie on whole pixels.
FAMILIES: dict[str, tuple[Callable[[], tuple], tuple[int, int]]] = {
    "llava": (llava, (70, 70)),
    "llava_next": (llava_next, (112, 84)),
    "qwen2_vl": (qwen2_vl, (168, 112)),
    "paligemma": (paligemma, (105, 70)),
    "internvl": (internvl, (168, 112)),
    "idefics3": (idefics3, (192, 128)),
    "gemma3": (gemma3, (112, 112)),
    "blip2": (blip2, (112, 84)),
    "florence2": (florence2, (120, 80)),
    "blip": (blip, (112, 84)),
    "git": (git, (84, 84)),
    "donut": (donut, (144, 96)),
    "trocr": (trocr, (112, 84)),
}


def save(family: str, folder: Path) -> Path:
    """Write a checkpoint as the hub has them."""
    torch.manual_seed(3)
    model, images, words, chat, settings, processor = FAMILIES[family][0]()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data.abs_().mul_(0.1 if module.groups > 1 else 1)  # so that they lean to no side
    model.save_pretrained(folder)
    images.save_pretrained(folder)
    words.save_pretrained(folder)
    if chat:
        (folder / "chat_template.jinja").write_text(chat)
    (folder / "processor_config.json").write_text(json.dumps({**settings, "processor_class": processor}))
    return folder


def picture(family: str, seed: int = 0) -> Image.Image:
    """A smooth picture, no two parts of which are alike."""
    width, height = FAMILIES[family][1]
    parts = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(seed)).mul(200).add(20)
    smooth = torch.nn.functional.interpolate(parts[None], (height, width), mode="bicubic")[0].clamp(0, 255)
    return Image.fromarray(smooth.to(torch.uint8).permute(1, 2, 0).numpy())
