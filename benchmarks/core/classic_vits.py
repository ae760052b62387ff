"""The same classic ViT as Saccade, transformers and timm build it, with the same weights."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from saccade.models import Classifier, ClassifierConfig, ViTConfig

EPS = 1e-6
CLASSES = 10


@dataclass(frozen=True)
class Size:
    """A ViT for square pictures of `picture` pixels a side."""

    picture: int
    patch: int
    width: int
    heads: int
    depth: int
    hidden: int

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of patches."""
        return self.picture // self.patch, self.picture // self.patch


def saccade_vit(size: Size) -> Classifier:
    """Ours, built as the original ViT: LayerNorm, biases, GELU, learned positions, class token."""
    block = {"width": size.width, "heads": size.heads, "hidden": size.hidden}
    classic = {"norm": "layer", "bias": True, "qk_norm": False, "activation": "gelu", "eps": EPS}
    shape = {"depth": size.depth, "patch": size.patch, "grid": size.grid, "block": {**block, **classic}}
    model = Classifier(ClassifierConfig(vit=ViTConfig.model_validate(shape), classes=CLASSES))
    nn.init.normal_(model.head.weight, std=0.02)  # a head of zeros would leave the rest without gradients
    return model


def hf_vit(size: Size, attention: str = "sdpa", classes: int = CLASSES) -> nn.Module:
    """transformers'; attention: "sdpa", its default, or "eager"."""
    from transformers import ViTConfig as HFConfig
    from transformers import ViTForImageClassification

    shape = {
        "hidden_size": size.width,
        "num_hidden_layers": size.depth,
        "num_attention_heads": size.heads,
        "intermediate_size": size.hidden,
        "image_size": size.picture,
        "patch_size": size.patch,
        "num_labels": classes,
        "layer_norm_eps": EPS,
        "attn_implementation": attention,
    }
    return ViTForImageClassification(HFConfig.from_dict(shape))


def timm_vit(size: Size) -> nn.Module:
    """timm's. Raises ImportError, or RuntimeError where its torchvision does not fit torch."""
    from timm.models import VisionTransformer

    return VisionTransformer(
        img_size=size.picture,
        patch_size=size.patch,
        embed_dim=size.width,
        depth=size.depth,
        num_heads=size.heads,
        mlp_ratio=size.hidden / size.width,
        num_classes=CLASSES,
    )


def logits(model: nn.Module, pictures: Tensor) -> Tensor:
    """(b classes) of any of the three."""
    out = model(pictures)
    return out if isinstance(out, Tensor) else out.logits


Named = dict[str, Tensor]
_HF = {
    "vit.embed.project.": "vit.embeddings.patch_embeddings.projection.",
    "vit.blocks.": "vit.layers.",
    ".query.": ".q_proj.",
    ".key.": ".k_proj.",
    ".value.": ".v_proj.",
    ".out.": ".o_proj.",
    ".attention_norm.": ".layernorm_before.",
    ".mlp_norm.": ".layernorm_after.",
    ".up.": ".fc1.",
    ".down.": ".fc2.",
    "vit.final_norm.": "vit.layernorm.",
    "head.": "classifier.",
}
_TIMM = {
    "vit.embed.project.": "patch_embed.proj.",
    "vit.blocks.": "blocks.",
    ".attention.out.": ".attn.proj.",
    ".attention.": ".attn.",
    ".attention_norm.": ".norm1.",
    ".mlp_norm.": ".norm2.",
    ".up.": ".fc1.",
    ".down.": ".fc2.",
    "vit.final_norm.": "norm.",
}


def to_hf(ours: Named) -> Named:
    """Our weights under transformers' names. Our class token has its position in it: theirs gets 0."""
    return _renamed(ours, _HF, "vit.embeddings.cls_token", "vit.embeddings.position_embeddings")


def to_timm(ours: Named) -> Named:
    """Our weights under timm's names, which keeps W_q, W_k and W_v as one matrix."""
    theirs = _renamed(ours, _TIMM, "cls_token", "pos_embed")
    for name in [name for name in theirs if ".query." in name]:
        parts = [theirs.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        theirs[name.replace("query", "qkv")] = torch.cat(parts)
    return theirs


def _renamed(ours: Named, names: dict[str, str], cls: str, positions: str) -> Named:
    theirs = dict(ours)
    token, table = theirs.pop("vit.prefix_tokens"), theirs.pop("vit.learned.table")
    for old, new in names.items():
        theirs = {name.replace(old, new): weight for name, weight in theirs.items()}
    return {**theirs, cls: token[None], positions: torch.cat([torch.zeros_like(token), table])[None]}


Rename = Callable[[Named], Named]


def exact_gradients(model: Classifier, loss: Callable[[nn.Module], Tensor]) -> Named:
    """The gradient of `loss` for our weights, computed in float64."""
    twin = copy.deepcopy(model).double()
    loss(twin).backward()
    return {name: p.grad for name, p in twin.named_parameters() if p.grad is not None}


def gradient_error(model: nn.Module, exact: Named, rename: Rename | None) -> float:
    """‖g − exact‖ / ‖exact‖ over all weights of a model that has gradients; rename: of our names to the model's.

    The position of the class token is left out: we have none apart from the token."""
    expected = rename(exact) if rename else exact
    missed = whole = 0.0
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        want, got = expected[name], p.grad.double()
        if want.ndim == 3 and want.shape[1] > 1:  # positions
            want, got = want[:, 1:], got[:, 1:]
        missed += float((got - want).square().sum())
        whole += float(want.square().sum())
    return (missed / whole) ** 0.5
