"""Tiny pipelines of diffusers that make films, with random weights."""

import torch
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from .pipelines import diffusers, t5_encoder, t5_tokenizer

WORDS = 16  # tokens of the text that CogVideoX takes


def umt5_encoder(width=32):
    config = UMT5Config(
        d_model=width, d_ff=19, d_kv=4, num_layers=2, num_heads=2, vocab_size=len(t5_tokenizer()), pad_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    return UMT5EncoderModel(config)


def wan_transformer(**options):
    usual = {"in_channels": 16, "out_channels": 16, "num_layers": 2}
    return diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, text_dim=32, freq_dim=16, ffn_dim=19,
        cross_attn_norm=True, qk_norm="rms_norm_across_heads", rope_max_seq_len=32, **(usual | options),
    )  # fmt: skip


def wan_parts(**options):
    """A latent pixel is 8 x 8 pixels, and a latent frame 4 frames, except for the first."""
    torch.manual_seed(3)
    return {
        "transformer": wan_transformer(**options),
        "vae": diffusers.AutoencoderKLWan(
            base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        "text_encoder": umt5_encoder(),
        "tokenizer": t5_tokenizer(),
    }


def wan():
    return diffusers.WanPipeline(**wan_parts())


def wan_two_stages():
    """Two networks, for much and for little noise."""
    parts = wan_parts() | {"scheduler": diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=7.0)}
    return diffusers.WanPipeline(**parts, transformer_2=wan_transformer(num_layers=1), boundary_ratio=0.95)


def wan_masked_times():
    """A network for films from text and from a picture, whose first frame has no noise."""
    return diffusers.WanPipeline(**wan_parts(), expand_timesteps=True)


def wan_image():
    """The network reads the picture by cross-attention too."""
    parts = wan_parts(in_channels=36, image_dim=8, added_kv_proj_dim=24)
    torch.manual_seed(5)
    config = CLIPVisionConfig(
        hidden_size=8, intermediate_size=19, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
    )
    processor = CLIPImageProcessor(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    return diffusers.WanImageToVideoPipeline(**parts, image_encoder=CLIPVisionModel(config), image_processor=processor)


def wan_latents():
    """The network reads the latents of the first frame alone, or those of the last too."""
    return diffusers.WanImageToVideoPipeline(**wan_parts(in_channels=36))


def ltx_parts():
    """A latent pixel is 8 x 8 pixels, and a latent frame 8 frames, except for the first."""
    torch.manual_seed(7)
    blocks = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": (1, 1, 1, 1, 1)}
    scaling = {"spatio_temporal_scaling": (True, True, True, False)}
    both = blocks | scaling
    tokenizer = t5_tokenizer()
    return {
        "transformer": diffusers.LTXVideoTransformer3DModel(
            in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=12, cross_attention_dim=24,
            num_layers=2, caption_channels=32,
        ),
        "vae": diffusers.AutoencoderKLLTXVideo(
            latent_channels=8, patch_size=1, patch_size_t=1, encoder_causal=True, decoder_causal=False, **both,
            **{f"decoder_{name}": value for name, value in both.items()},
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        "text_encoder": t5_encoder(),
        "tokenizer": tokenizer,
    }  # fmt: skip


def ltx():
    return diffusers.LTXPipeline(**ltx_parts())


def ltx_image():
    return diffusers.LTXImageToVideoPipeline(**ltx_parts())


def cogvideox_parts(**options):
    """A latent pixel is 8 x 8 pixels, and a latent frame 4 frames, except for the first."""
    torch.manual_seed(11)
    return {
        "transformer": diffusers.CogVideoXTransformer3DModel(
            num_attention_heads=2, attention_head_dim=16, out_channels=4, time_embed_dim=2, text_embed_dim=32,
            num_layers=2, sample_frames=9, patch_size=2, temporal_compression_ratio=4,
            max_text_seq_length=WORDS, **({"in_channels": 4, "sample_height": 4, "sample_width": 4} | options),
        ),
        "vae": diffusers.AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
            temporal_compression_ratio=4,
        ),
        "scheduler": diffusers.CogVideoXDDIMScheduler(),
        "text_encoder": t5_encoder(),
        "tokenizer": t5_tokenizer(),
    }  # fmt: skip


def cogvideox():
    return diffusers.CogVideoXPipeline(**cogvideox_parts())


def cogvideox_tubes():
    """As of CogVideoX 1.5: rotary positions, and tokens of two latent frames; noise is drawn in each step."""
    parts = cogvideox_parts(
        patch_size_t=2, use_rotary_positional_embeddings=True, patch_bias=False, sample_height=8, sample_width=16
    )
    parts["scheduler"] = diffusers.CogVideoXDPMScheduler()
    return diffusers.CogVideoXPipeline(**parts)


def cogvideox_image():
    parts = cogvideox_parts(in_channels=8, use_rotary_positional_embeddings=True)
    return diffusers.CogVideoXImageToVideoPipeline(**parts)


FILMS = {"wan": wan, "ltx": ltx, "cogvideox": cogvideox}
FILM_VARIANTS = {"stages": wan_two_stages, "masked": wan_masked_times, "tubes": cogvideox_tubes}
IMAGE_FILMS = {"wan_image": wan_image, "ltx_image": ltx_image, "cogvideox_image": cogvideox_image}
