"""Inputs of image models whose signature does not say what they take: (model) -> arguments."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Inputs = dict[str, Any]
WORDS, WIDTH = 7, 32
TWO = torch.tensor([5.0, 9.0])


def words(batch: int = 2) -> Tensor:
    """Text, as wide as the model."""
    return torch.randn(batch, WORDS, WIDTH)


def ones(*shape: int) -> Tensor:
    """A mask that leaves all."""
    return torch.ones(*shape, dtype=torch.bool)


def _bria_fibo(model: Any) -> Inputs:
    layers = [torch.randn(2, WORDS, 16) for _ in range(4)]
    return _tokens(model) | {"text_encoder_layers": layers}


def _bria_fibo2(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([0.5, 0.7]),
        "encoder_hidden_states": torch.randn(2, 2, WORDS, WIDTH),
    }


def _dit(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor([5, 9]),
        "class_labels": torch.tensor([1, 2]),
    }


def _ernie(model: Any) -> Inputs:
    lengths = torch.tensor([WORDS, WORDS - 2])
    return {"hidden_states": torch.randn(2, 4, 4, 4), "timestep": TWO, "text_bth": words(), "text_lens": lengths}


def _glm_image(model: Any) -> Inputs:
    sizes = torch.tensor([[64.0, 64.0]] * 2)
    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "encoder_hidden_states": words(),
        "prior_token_id": torch.randint(0, 16, (2, 16)),
        "prior_token_drop": torch.zeros(2, 16, dtype=torch.bool),
        "timestep": TWO,
        "target_size": sizes,
        "crop_coords": torch.zeros(2, 2),
    }


def _hidream(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timesteps": torch.tensor([5, 9]),
        "encoder_hidden_states_t5": words(),
        "encoder_hidden_states_llama3": torch.randn(2, 2, WORDS, WIDTH),
        "pooled_embeds": torch.randn(2, WIDTH),
    }


def _hunyuan_dit(model: Any) -> Inputs:
    angles = torch.randn(16, 16)
    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": TWO,
        "encoder_hidden_states": words(),
        "text_embedding_mask": torch.ones(2, WORDS),
        "encoder_hidden_states_t5": words(),
        "text_embedding_mask_t5": torch.ones(2, WORDS),
        "image_meta_size": torch.full((2, 6), 64.0),
        "style": torch.zeros(2, dtype=torch.long),
        "image_rotary_emb": (angles.cos(), angles.sin()),
    }


def _hunyuan_image(model: Any) -> Inputs:
    text = {"encoder_hidden_states": words(), "encoder_attention_mask": ones(2, WORDS)}
    return {"hidden_states": torch.randn(2, 4, 4, 4), "timestep": TWO} | text


def _ideogram(model: Any) -> Inputs:
    """Four words and a picture of 2 x 2, in one sequence."""
    from diffusers.models.transformers import transformer_ideogram4 as own

    places = torch.arange(8)[None, :, None].expand(1, -1, 3).clone()
    places[:, 4:] = own.IMAGE_POSITION_OFFSET + torch.tensor([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]])
    kinds = torch.tensor([[own.LLM_TOKEN_INDICATOR] * 4 + [own.OUTPUT_IMAGE_INDICATOR] * 4])
    return {
        "hidden_states": torch.randn(1, 8, 4),
        "encoder_hidden_states": torch.randn(1, 8, WIDTH),
        "timestep": torch.tensor([0.5]),
        "position_ids": places,
        "segment_ids": torch.ones(1, 8, dtype=torch.long),
        "indicator": kinds,
    }


def _joy_plus(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(1, 8, 4, 1, 2, 2),
        "encoder_hidden_states": words(1),
        "timestep": TWO[:1],
        "shape_list": [[(1, 2, 2), (1, 2, 2)]],
    }


def _kandinsky3(model: Any) -> Inputs:
    text = {"encoder_hidden_states": words(), "encoder_attention_mask": ones(2, WORDS)}
    return {"sample": torch.randn(2, 4, 16, 16), "timestep": TWO} | text


def _krea2(model: Any) -> Inputs:
    places = torch.zeros(WORDS + 4, 3)
    places[WORDS:, 1:] = torch.cartesian_prod(torch.arange(2), torch.arange(2))
    return {
        "hidden_states": torch.randn(1, 4, 4),
        "encoder_hidden_states": torch.randn(1, WORDS, 3, WIDTH),
        "timestep": torch.tensor([0.5]),
        "position_ids": places,
    }


def _lumina_next(model: Any) -> Inputs:
    from diffusers.models.embeddings import get_2d_rotary_pos_embed_lumina

    return {
        "hidden_states": torch.randn(2, 4, 8, 8),
        "timestep": torch.rand(2),
        "encoder_hidden_states": words(),
        "encoder_mask": torch.ones(2, WORDS),
        "image_rotary_emb": get_2d_rotary_pos_embed_lumina(16, 8, 8),
        "cross_attention_kwargs": {},
    }


def _nucleus(model: Any) -> Inputs:
    shapes = {"img_shapes": [(1, 4, 4)] * 2, "encoder_hidden_states_mask": ones(2, WORDS)}
    return {"hidden_states": torch.randn(2, 16, 4), "encoder_hidden_states": words(), "timestep": TWO} | shapes


def _omnigen(model: Any) -> Inputs:
    """Words, in which the second to fifth are those of a picture to go by, a time token and a picture."""
    return {
        "hidden_states": torch.randn(1, 4, 8, 8),
        "timestep": TWO[:1],
        "input_ids": torch.randint(1, 60, (1, 9)),
        "input_img_latents": [torch.randn(1, 4, 4, 4)],
        "input_image_sizes": {0: [[1, 5]]},
        "attention_mask": torch.ones(1, 26, 26),
        "position_ids": torch.arange(26)[None],
    }


def _prior(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, WIDTH),
        "timestep": torch.tensor([5, 9]),
        "proj_embedding": torch.randn(2, WIDTH),
        "encoder_hidden_states": words(),
    }


def _qwen(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 16, 4),
        "encoder_hidden_states": words(),
        "encoder_hidden_states_mask": ones(2, WORDS),
        "timestep": torch.rand(2),
        "img_shapes": [[(1, 4, 4)]] * 2,
    }


def _qwen21(model: Any) -> Inputs:
    """A place for each four patches of the picture after the words."""
    places = torch.tensor([[False] * WORDS + [True] * 4] * 2)
    return _qwen(model) | {"img_mask": places, "encoder_hidden_states_mask": torch.ones(2, WORDS, dtype=torch.long)}


def _cascade(model: Any) -> Inputs:
    return {
        "sample": torch.randn(2, 4, 8, 8),
        "timestep_ratio": torch.rand(2),
        "clip_text_pooled": torch.randn(2, 1, WIDTH),
        "clip_text": words(),
    }


def _uvit(model: Any) -> Inputs:
    return {
        "input_ids": torch.randint(0, 40, (2, 8, 8)),
        "encoder_hidden_states": words(),
        "pooled_text_emb": torch.randn(2, WIDTH),
        "micro_conds": torch.rand(2, 5),
    }


def _z_image(model: Any) -> Inputs:
    pictures, text = [torch.randn(4, 1, 8, 8)] * 2, [torch.randn(WORDS, WIDTH)] * 2
    return {"x": pictures, "t": torch.rand(2), "cap_feats": text}


def _tokens(model: Any) -> Inputs:
    """A picture of 4 x 4 as a sequence, and words."""
    places = torch.zeros(16, 3)
    places[:, 1:] = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    picture = {"hidden_states": torch.randn(2, 16, 4), "img_ids": places, "txt_ids": torch.zeros(WORDS, 3)}
    return picture | {"encoder_hidden_states": words(), "timestep": TWO}


INPUTS: dict[str, Callable[[Any], Inputs]] = {
    "BriaFibo2Transformer2DModel": _bria_fibo2,
    "BriaFiboTransformer2DModel": _bria_fibo,
    "DiTTransformer2DModel": _dit,
    "ErnieImageTransformer2DModel": _ernie,
    "GlmImageTransformer2DModel": _glm_image,
    "HiDreamImageTransformer2DModel": _hidream,
    "HunyuanDiT2DModel": _hunyuan_dit,
    "HunyuanImageTransformer2DModel": _hunyuan_image,
    "Ideogram4Transformer2DModel": _ideogram,
    "JoyImageEditPlusTransformer3DModel": _joy_plus,
    "Kandinsky3UNet": _kandinsky3,
    "Krea2Transformer2DModel": _krea2,
    "LuminaNextDiT2DModel": _lumina_next,
    "NucleusMoEImageTransformer2DModel": _nucleus,
    "OmniGenTransformer2DModel": _omnigen,
    "PriorTransformer": _prior,
    "QwenImage21Transformer2DModel": _qwen21,
    "QwenImageTransformer2DModel": _qwen,
    "StableCascadeUNet": _cascade,
    "UVit2DModel": _uvit,
    "ZImageTransformer2DModel": _z_image,
}
