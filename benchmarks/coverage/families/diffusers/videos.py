"""Inputs of video models whose signature does not say what they take: (model) -> arguments."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.coverage.families.diffusers.images import TWO, WIDTH, WORDS, Inputs, ones, words


def _film(frames: int = 2, channels: int = 4, side: int = 8, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, frames, side, side)


def _anyflow(model: Any) -> Inputs:
    times = torch.full((2, 2), 500.0)
    film = torch.randn(2, 2, 4, 8, 8)
    return {"hidden_states": film, "timestep": times, "r_timestep": times / 2, "encoder_hidden_states": words()}


def _anyflow_far(model: Any) -> Inputs:
    times = torch.full((1, 4), 500.0)
    return {
        "hidden_states": torch.randn(1, 4, 4, 16, 16),
        "timestep": times,
        "r_timestep": times / 2,
        "encoder_hidden_states": words(1),
        "chunk_partition": [2, 2],
    }


def _cosmos3(model: Any) -> Inputs:
    """Two words and a picture of 2 x 3."""
    seen = torch.arange(2, 8)
    return {
        "input_ids": torch.tensor([1, 2]),
        "text_indexes": torch.tensor([0, 1]),
        "position_ids": torch.arange(8).expand(3, -1),
        "und_len": 2,
        "sequence_length": 8,
        "vision_tokens": [torch.randn(1, 4, 1, 2, 3)],
        "vision_token_shapes": [(1, 2, 3)],
        "vision_sequence_indexes": seen,
        "vision_mse_loss_indexes": seen,
        "vision_timesteps": torch.ones(6),
        "vision_noisy_frame_indexes": [torch.tensor([0])],
    }


def _cosmos(model: Any) -> Inputs:
    return {
        "hidden_states": _film(),
        "timestep": TWO,
        "encoder_hidden_states": words(),
        "fps": 8,
        "padding_mask": torch.zeros(1, 1, 8, 8),
    }


def _hunyuan_15(model: Any) -> Inputs:
    return {
        "hidden_states": _film(side=4),
        "timestep": TWO,
        "encoder_hidden_states": words(),
        "encoder_attention_mask": ones(2, WORDS),
        "encoder_hidden_states_2": words(),
        "encoder_attention_mask_2": ones(2, WORDS),
        "image_embeds": torch.randn(2, 5, WIDTH),
    }


def _framepack(model: Any) -> Inputs:
    """A film after what came before it, the older the coarser."""
    past = {"latents_clean": _film(side=4, batch=1), "indices_latents_clean": torch.ones(2)}
    past |= {"latents_history_2x": _film(side=4, batch=1), "indices_latents_history_2x": torch.ones(2)}
    past |= {"latents_history_4x": _film(8, side=4, batch=1), "indices_latents_history_4x": torch.ones(8)}
    return past | {
        "hidden_states": _film(3, side=4, batch=1),
        "timestep": TWO[:1],
        "encoder_hidden_states": words(1),
        "encoder_attention_mask": torch.ones(1, WORDS),
        "pooled_projections": torch.randn(1, WIDTH),
        "guidance": TWO[:1],
        "image_embeds": words(1),
        "indices_latents": torch.ones(3),
    }


def _i2vgen(model: Any) -> Inputs:
    return {
        "sample": _film(),
        "timestep": TWO,
        "fps": torch.tensor([8, 8]),
        "image_latents": _film(),
        "image_embeddings": torch.randn(2, WIDTH),
        "encoder_hidden_states": words(),
    }


def _kandinsky5(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(1, 2, 8, 8, 4),
        "encoder_hidden_states": words(1),
        "timestep": TWO[:1],
        "pooled_projections": torch.randn(1, WIDTH),
        "visual_rope_pos": [torch.arange(2), torch.arange(4), torch.arange(4)],
        "text_rope_pos": torch.arange(WORDS),
    }


def _kandinsky6(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(1, 2, 4, 4, 9),
        "encoder_hidden_states": words(1),
        "timestep": TWO[:1],
        "pooled_projections": torch.randn(1, WIDTH),
        "audio_hidden_states": torch.randn(1, 5, 4),
    }


def _kandinsky6_sr(model: Any) -> Inputs:
    return {"hidden_states": torch.randn(1, 2, 16, 16, 9), "timestep": TWO[:1]}


def _ltx(model: Any) -> Inputs:
    return {
        "hidden_states": torch.randn(2, 18, 4),
        "encoder_hidden_states": words(),
        "timestep": TWO,
        "encoder_attention_mask": torch.ones(2, WORDS),
        "num_frames": 2,
        "height": 3,
        "width": 3,
    }


def _ltx2(model: Any) -> Inputs:
    sounds = {"audio_hidden_states": torch.randn(2, 5, 4), "audio_encoder_hidden_states": words()}
    return _ltx(model) | sounds | {"audio_num_frames": 5, "timestep": torch.full((2, 1), 500.0), "fps": 25.0}


def _minimax_h3(model: Any) -> Inputs:
    """Words, sound and film in one sequence, each where its indices say."""
    text, audio, video = torch.arange(4), torch.arange(4, 10), torch.arange(10, 18)
    tags, times, places = torch.zeros(18).long(), torch.zeros(18).long(), torch.zeros(18, 3)
    tags[text], tags[audio], times[audio] = 1, 2, 1
    places[:, 0] = torch.arange(18)
    places[video, 1:] = torch.cartesian_prod(torch.arange(4), torch.arange(2)).float()
    return {
        "hidden_states": torch.randn(2, 8, 16),
        "audio_hidden_states": torch.randn(2, 6, 6),
        "encoder_hidden_states": torch.randn(2, 4, WIDTH),
        "timestep": torch.tensor([0.7, 0.3]),
        "timestep_indices": times,
        "token_tags": tags,
        "position_ids": places,
        "video_indices": video,
        "audio_indices": audio,
        "text_indices": text,
    }


def _sana_refiner(model: Any) -> Inputs:
    turns = model.build_rotary_emb_for_absolute_positions(
        batch_size=2, frame_positions=[0, 1], height=3, width=3, device=torch.device("cpu"), fps=24.0
    )
    return {
        "hidden_states": torch.randn(2, 18, 4),
        "encoder_hidden_states": words(),
        "timestep": torch.rand(2, 18) * 1000,
        "video_rotary_emb": turns,
        "encoder_attention_mask": torch.ones(2, WORDS),
    }


def _sana_wm(model: Any) -> Inputs:
    """A film and how the camera moves: forward, looking straight ahead."""
    camera = torch.eye(4).repeat(1, 4, 1, 1)
    camera[..., 2, 3] = torch.arange(4) * 0.1
    lens = torch.tensor([8.0, 8.0, 4.0, 4.0]).expand(1, 4, 4)
    return {
        "hidden_states": _film(4, batch=1),
        "timestep": torch.full((1, 1, 4), 500.0),
        "encoder_hidden_states": torch.randn(1, 1, WORDS, WIDTH),
        "encoder_attention_mask": torch.ones(1, WORDS, dtype=torch.long),
        "camera_conditions": torch.cat([camera.flatten(-2), lens], dim=-1),
        "chunk_plucker": _film(4, channels=8, batch=1),
    }


def _frames(model: Any) -> Inputs:
    return {"hidden_states": torch.randn(4, 4, 8, 8), "num_frames": 2}


def _film_unet(model: Any) -> Inputs:
    return {"sample": _film(), "timestep": TWO, "encoder_hidden_states": words()}


def _motion(model: Any) -> Inputs:
    """Words once a frame."""
    return _film_unet(model) | {"encoder_hidden_states": words(4)}


def _svd(model: Any) -> Inputs:
    return {
        "sample": torch.randn(2, 2, 4, 8, 8),
        "timestep": TWO,
        "encoder_hidden_states": torch.randn(2, 1, WIDTH),
        "added_time_ids": torch.rand(2, 3),
    }


def _wan_animate2(model: Any) -> Inputs:
    from diffusers.models.transformers.transformer_wan_animate_2 import WanAnimate2KVCache

    return {
        "hidden_states": [torch.randn(4, 2, 4, 4)],
        "timestep": torch.tensor([1.0]),
        "encoder_hidden_states": [torch.randn(WORDS, WIDTH)],
        "condition_latents": [torch.randn(4, 2, 4, 4)],
        "kv_cache": WanAnimate2KVCache(2),
        "kv_cache_mode": "extract",
        "seq_len": 8,
        "offset_grid_sizes": torch.tensor([[2, 2, 2]]),
    }


def _wan_animate(model: Any) -> Inputs:
    return {
        "hidden_states": _film(3, channels=12, batch=1),
        "timestep": TWO[:1],
        "encoder_hidden_states": words(1),
        "encoder_hidden_states_image": words(1),
        "pose_hidden_states": _film(2, batch=1),
        "face_pixel_values": torch.randn(1, 3, 5, 16, 16),
    }


def _vace(model: Any) -> Inputs:
    film = {"hidden_states": _film(), "control_hidden_states": _film(channels=8)}
    return film | {"timestep": TWO, "encoder_hidden_states": words()}


INPUTS: dict[str, Callable[[Any], Inputs]] = {
    "AnyFlowFARTransformer3DModel": _anyflow_far,
    "AnyFlowTransformer3DModel": _anyflow,
    "Cosmos3OmniTransformer": _cosmos3,
    "CosmosTransformer3DModel": _cosmos,
    "HunyuanVideo15Transformer3DModel": _hunyuan_15,
    "HunyuanVideoFramepackTransformer3DModel": _framepack,
    "I2VGenXLUNet": _i2vgen,
    "Kandinsky5Transformer3DModel": _kandinsky5,
    "Kandinsky6SRTransformer3DModel": _kandinsky6_sr,
    "Kandinsky6Transformer3DModel": _kandinsky6,
    "LTX2VideoTransformer3DModel": _ltx2,
    "LTXVideoTransformer3DModel": _ltx,
    "MiniMaxH3Transformer3DModel": _minimax_h3,
    "SanaWMLTX2RefinerTransformer3DModel": _sana_refiner,
    "SanaWMTransformer3DModel": _sana_wm,
    "TransformerTemporalModel": _frames,
    "UNet3DConditionModel": _film_unet,
    "UNetMotionModel": _motion,
    "UNetSpatioTemporalConditionModel": _svd,
    "WanAnimate2Transformer3DModel": _wan_animate2,
    "WanAnimateTransformer3DModel": _wan_animate,
    "WanVACETransformer3DModel": _vace,
}
