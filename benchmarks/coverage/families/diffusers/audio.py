"""Inputs of audio models whose signature does not say what they take: (model) -> arguments."""

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.coverage.families.diffusers.images import TWO, WIDTH, WORDS, Inputs, ones, words


def _ace(model: Any) -> Inputs:
    sounds = {"hidden_states": torch.randn(2, 8, 8), "context_latents": torch.randn(2, 8, 16)}
    return sounds | {"timestep": TWO, "timestep_r": TWO, "encoder_hidden_states": words()}


def _longcat_audio(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 16, 8),
        "encoder_hidden_states": words(),
        "encoder_attention_mask": ones(2, WORDS),
        "timestep": torch.tensor([0.3, 0.7]),
        "latent_cond": torch.randn(2, 16, 8),
    }


def _music(model: Any) -> Inputs:
    latents = {"hidden_states": torch.randn(2, 4, 16), "encoder_hidden_states": torch.randn(2, 16, WIDTH)}
    return latents | {"timestep": torch.rand(2)}


def _stable_audio(model: Any) -> Inputs:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    return {
        "hidden_states": torch.randn(2, 4, 16),
        "timestep": TWO,
        "encoder_hidden_states": words(),
        "global_hidden_states": torch.randn(2, 1, WIDTH),
        "rotary_embedding": get_1d_rotary_pos_embed(8, 17, use_real=True, repeat_interleave_real=False),
    }


def _stable_audio3(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 8, 16),
        "timestep": torch.rand(2),
        "encoder_hidden_states": words(),
        "global_hidden_states": torch.randn(2, WIDTH),
    }


def _t5_film(model: Any) -> Inputs:
    return {
        "encodings_and_masks": [(words(), torch.ones(2, WORDS))],
        "decoder_input_tokens": torch.randn(2, 16, 8),
        "decoder_noise_time": torch.rand(2),
    }


def _sound(model: Any) -> Inputs:
    return {"sample": torch.randn(2, 4, 64), "timestep": TWO}


INPUTS: dict[str, Callable[[Any], Inputs]] = {
    "AceStepTransformer1DModel": _ace,
    "LongCatAudioDiTTransformer": _longcat_audio,
    "MiniMaxMusic3RVQDepthDecoder": lambda model: {"inputs_embeds": torch.randn(2, 8, WIDTH)},
    "MiniMaxMusic3Transformer1DModel": _music,
    "StableAudio3DiTModel": _stable_audio3,
    "StableAudioDiTModel": _stable_audio,
    "T5FilmDecoder": _t5_film,
    "UNet1DModel": _sound,
}
