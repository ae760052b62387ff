"""Tiny pipelines of diffusers with random weights, as diffusers saves them."""

import warnings

import pytest
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diffusers = pytest.importorskip("diffusers")
        from diffusers import (
            AutoencoderKL,
            ChromaPipeline,
            ChromaTransformer2DModel,
            ControlNetModel,
            DDIMScheduler,
            EulerAncestralDiscreteScheduler,
            FlowMatchEulerDiscreteScheduler,
            FluxControlPipeline,
            FluxFillPipeline,
            FluxKontextPipeline,
            FluxPipeline,
            FluxTransformer2DModel,
            LatentConsistencyModelPipeline,
            LCMScheduler,
            PixArtAlphaPipeline,
            PixArtSigmaPipeline,
            PixArtTransformer2DModel,
            SD3Transformer2DModel,
            StableDiffusion3Pipeline,
            StableDiffusionControlNetPipeline,
            StableDiffusionImg2ImgPipeline,
            StableDiffusionInpaintPipeline,
            StableDiffusionInstructPix2PixPipeline,
            StableDiffusionPipeline,
            StableDiffusionXLImg2ImgPipeline,
            StableDiffusionXLPipeline,
            UNet2DConditionModel,
        )
except Exception as error:
    pytest.skip(f"diffusers does not import: {error!r}", allow_module_level=True)

CLIP_TOKENS = 13
_LETTERS = [chr(i) for i in range(97, 123)]
_SPACE = chr(0x2581)


def clip_tokenizer():
    """A token a letter, and the words "red" and "star"; all padded with the token of the end."""
    merges = [("e", "d</w>"), ("r", "ed</w>"), ("s", "t"), ("a", "r</w>"), ("st", "ar</w>")]
    merged = ["".join(pair) for pair in merges]
    names = [*_LETTERS, *(f"{x}</w>" for x in _LETTERS), *merged, "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={name: i for i, name in enumerate(names)}, merges=merges, model_max_length=CLIP_TOKENS,
        pad_token="<|endoftext|>",
    )  # fmt: skip


def t5_tokenizer():
    pieces = [*_LETTERS, *(_SPACE + word for word in ("red", "star", "a", "blue"))]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), (_SPACE, -5.0), *((piece, -3.0) for piece in pieces)]
    return T5Tokenizer(vocab=vocab, extra_ids=0)


def clip_encoder(width=24, kind=CLIPTextModel):
    tokenizer = clip_tokenizer()
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=19, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(tokenizer),
        max_position_embeddings=CLIP_TOKENS, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, projection_dim=width,
    )  # fmt: skip
    return kind(config)


def t5_encoder(width=32):
    config = T5Config(
        d_model=width, d_ff=19, d_kv=4, num_layers=2, num_heads=2, vocab_size=len(t5_tokenizer()),
        pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    return T5EncoderModel(config)


def autoencoder(**options):
    """A latent pixel is 2 x 2 pixels."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=2, **({"latent_channels": 4} | options),
    )  # fmt: skip


def unet(**options):
    usual = {"cross_attention_dim": 24, "attention_head_dim": 4}
    return UNet2DConditionModel(
        sample_size=8, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), block_out_channels=(8, 16), layers_per_block=1,
        norm_num_groups=2, **(usual | options),
    )  # fmt: skip


def stable_diffusion(scheduler=None):
    torch.manual_seed(3)
    network = unet()
    return StableDiffusionPipeline(
        vae=autoencoder(), text_encoder=clip_encoder(), tokenizer=clip_tokenizer(), unet=network,
        scheduler=scheduler or DDIMScheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl():
    torch.manual_seed(13)
    network = xl_unet(48, 72)
    return StableDiffusionXLPipeline(
        vae=autoencoder(), unet=network, scheduler=EulerAncestralDiscreteScheduler(),  # which draws noise in each step
        text_encoder=clip_encoder(), tokenizer=clip_tokenizer(), tokenizer_2=clip_tokenizer(),
        text_encoder_2=clip_encoder(24, CLIPTextModelWithProjection), add_watermarker=False,
    )  # fmt: skip


def stable_diffusion_xl_refiner():
    """It reads one text alone, and the aesthetic score."""
    parts = stable_diffusion_xl().components
    torch.manual_seed(41)
    parts |= {"text_encoder": None, "tokenizer": None, "unet": xl_unet(24, 24 + 5 * 8)}
    return StableDiffusionXLImg2ImgPipeline(**parts, requires_aesthetics_score=True, add_watermarker=False)


def xl_unet(text, added, **options):
    return unet(
        cross_attention_dim=text, attention_head_dim=(2, 4), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=added, **options,
    )  # fmt: skip


def latent_consistency():
    torch.manual_seed(17)
    return LatentConsistencyModelPipeline(
        vae=autoencoder(), text_encoder=clip_encoder(), tokenizer=clip_tokenizer(), unet=unet(time_cond_proj_dim=32),
        scheduler=LCMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_3():
    torch.manual_seed(5)
    transformer = SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=16, num_layers=2, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=32, out_channels=16,
        pos_embed_max_size=24,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=autoencoder(shift_factor=0.1, latent_channels=16),  # as many as its inpainting requires
        text_encoder=clip_encoder(16, CLIPTextModelWithProjection), tokenizer=clip_tokenizer(),
        text_encoder_2=clip_encoder(16, CLIPTextModelWithProjection), tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_encoder(), tokenizer_3=t5_tokenizer(),
    )  # fmt: skip


def without_t5():
    parts = without_adapter(stable_diffusion_3().components)
    return StableDiffusion3Pipeline(**parts | {"text_encoder_3": None, "tokenizer_3": None})


def flux(guidance_embeds=True, in_channels=16):
    torch.manual_seed(7)
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=in_channels, out_channels=16, num_layers=1, num_single_layers=2,
        attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=24, axes_dims_rope=[4, 4, 8], guidance_embeds=guidance_embeds,
    )  # fmt: skip
    return FluxPipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder(shift_factor=0.1),
        text_encoder=clip_encoder(), tokenizer=clip_tokenizer(), text_encoder_2=t5_encoder(),
        tokenizer_2=t5_tokenizer(),
    )  # fmt: skip


def pixart():
    torch.manual_seed(11)
    transformer = PixArtTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=8, num_layers=2, num_attention_heads=2,
        attention_head_dim=8, cross_attention_dim=16, caption_channels=32,
    )  # fmt: skip
    return PixArtAlphaPipeline(
        transformer=transformer, scheduler=DDIMScheduler(), vae=autoencoder(), text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(),
    )  # fmt: skip


def pixart_sigma():
    parts = pixart().components
    return PixArtSigmaPipeline(**parts)


def chroma():
    torch.manual_seed(19)
    transformer = ChromaTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=[4, 4, 8], approximator_hidden_dim=32, approximator_layers=1,
        approximator_num_channels=16,
    )  # fmt: skip
    return ChromaPipeline(
        transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler(), vae=autoencoder(shift_factor=0.1),
        text_encoder=t5_encoder(), tokenizer=t5_tokenizer(),
    )  # fmt: skip


def stable_diffusion_image_to_image():
    return StableDiffusionImg2ImgPipeline(**stable_diffusion().components, requires_safety_checker=False)


def stable_diffusion_inpainting():
    """Whose network reads the mask and the picture without the masked part."""
    parts = stable_diffusion().components
    torch.manual_seed(23)
    parts["unet"] = unet(in_channels=9)
    return StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)


def controlnet():
    parts = stable_diffusion().components
    torch.manual_seed(29)
    network = ControlNetModel(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), block_out_channels=(8, 16), layers_per_block=1,
        norm_num_groups=2, cross_attention_dim=24, attention_head_dim=4, conditioning_embedding_out_channels=(8, 8),
    )  # fmt: skip
    with torch.no_grad():  # its outputs begin at 0
        for block in [*network.controlnet_down_blocks, network.controlnet_mid_block]:
            block.weight.normal_(std=0.5)
        network.controlnet_cond_embedding.conv_out.weight.normal_()
    return StableDiffusionControlNetPipeline(**parts, controlnet=network, requires_safety_checker=False)


def instruct_pix2pix():
    parts = stable_diffusion().components
    torch.manual_seed(31)
    parts["unet"] = unet(in_channels=8)
    return StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)


def without_adapter(parts):
    return {name: part for name, part in parts.items() if name not in ("image_encoder", "feature_extractor")}


def flux_control():
    parts = flux(in_channels=32).components
    return FluxControlPipeline(**without_adapter(parts))


def flux_fill():
    parts = flux(in_channels=48).components
    return FluxFillPipeline(**without_adapter(parts))


def flux_kontext():
    return FluxKontextPipeline(**flux().components)


FAMILIES = {"unet": stable_diffusion, "sd3": stable_diffusion_3, "flux": flux, "pixart": pixart}
VARIANTS = {"sdxl": stable_diffusion_xl, "lcm": latent_consistency, "sigma": pixart_sigma, "chroma": chroma}
# Their own class takes a picture.
PICTURE_PIPELINES = {
    "img2img": stable_diffusion_image_to_image, "inpaint": stable_diffusion_inpainting, "controlnet": controlnet,
    "pix2pix": instruct_pix2pix, "control": flux_control, "fill": flux_fill, "kontext": flux_kontext,
}  # fmt: skip
