"""Vision transformers written out plainly from the descriptions of timm's, DINOv2's and open_clip's formats.

timm and open_clip do not import beside a CPU build of torch, so these stand in for them: one function over a
dictionary of weights under the library's own names, sharing no code with the library under test.
"""

import math

import torch
import torch.nn.functional as F


def random_weights(shapes: dict[str, tuple[int, ...]], seed: int = 7) -> dict[str, torch.Tensor]:
    """Norms around 1, biases, tokens and scales around 0, all with a spread of 0.5; matrices with one that keeps
    the size of what goes through. Larger matrices make attention so sharp that two ways of rounding part ways."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, shape in shapes.items():
        matrix = name.endswith(("weight", "proj")) and len(shape) > 1
        spread = 1 / math.sqrt(math.prod(shape[1:])) if matrix else 0.5
        centre = 1.0 if name.endswith("weight") and ("norm" in name or "ln_" in name) else 0.0
        out[name] = centre + spread * torch.randn(shape, generator=generator)
    return out


def layer_norm(x, w, name, eps):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / torch.sqrt(variance + eps) * w[f"{name}.weight"] + w[f"{name}.bias"]


def attention(x, matrix, bias, heads):
    """Queries, keys and values from one matrix, in this order."""
    b, n, d = x.shape
    q, k, v = (x @ matrix.T + (0 if bias is None else bias)).reshape(b, n, 3, heads, d // heads).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d // heads), dim=-1)
    return (weights @ v).transpose(1, 2).reshape(b, n, d)


def linear(x, w, name):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def resampled(positions, side, rows, columns, *, antialias, offset=0.0):
    """Positions of side x side patches on another grid, bicubic."""
    if (rows, columns) == (side, side):
        return positions
    picture = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if offset:
        scale = ((rows + offset) / side, (columns + offset) / side)
        picture = F.interpolate(picture, scale_factor=scale, mode="bicubic", antialias=antialias)
    else:
        picture = F.interpolate(picture, size=(rows, columns), mode="bicubic", antialias=antialias)
    return picture.permute(0, 2, 3, 1).reshape(1, rows * columns, -1)


def timm_shapes(*, width, depth, hidden, patch, side, classes=0, registers=0, placed=1, cls=True, fc_norm=False,
                clip=False, scale=False, swiglu=False, original=False, qkv_bias=True, distilled=False):  # fmt: skip
    """Names and shapes of a file of timm's, or of DINOv2's authors (`original`)."""
    shapes = {"pos_embed": (1, placed + side * side, width), "patch_embed.proj.weight": (width, 3, patch, patch)}
    shapes |= {"cls_token": (1, 1, width)} if cls else {}
    shapes |= {"dist_token": (1, 1, width)} if distilled else {}
    if registers:
        shapes["register_tokens" if original else "reg_token"] = (1, registers, width)
    if original:
        shapes["mask_token"] = (1, width)
    if clip:
        shapes |= {"norm_pre.weight": (width,), "norm_pre.bias": (width,)}
    else:
        shapes["patch_embed.proj.bias"] = (width,)
    up, down = ("w12", "w3") if swiglu and original else ("fc1", "fc2")
    for i in range(depth):
        block = {
            "norm1.weight": (width,), "norm1.bias": (width,), "norm2.weight": (width,), "norm2.bias": (width,),
            "attn.qkv.weight": (3 * width, width), "attn.proj.weight": (width, width), "attn.proj.bias": (width,),
            f"mlp.{up}.weight": ((1 + swiglu) * hidden, width), f"mlp.{up}.bias": ((1 + swiglu) * hidden,),
            f"mlp.{down}.weight": (width, hidden), f"mlp.{down}.bias": (width,),
        }  # fmt: skip
        block |= {"attn.qkv.bias": (3 * width,)} if qkv_bias else {}
        block |= {"ls1.gamma": (width,), "ls2.gamma": (width,)} if scale else {}
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    norm = "fc_norm" if fc_norm else "norm"
    shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
    for head in ("head", "head_dist")[: (classes > 0) * (1 + distilled)]:
        shapes |= {f"{head}.weight": (classes, width), f"{head}.bias": (classes,)}
    return shapes


@torch.no_grad()
def timm_forward(w, picture, *, heads, eps=1e-6, act=F.gelu, pool="token", antialias=True, offset=0.0):
    """(tokens, logits or None)."""
    patch = w["patch_embed.proj.weight"].shape[-1]
    rows, columns = picture.shape[2] // patch, picture.shape[3] // patch
    x = F.conv2d(picture, w["patch_embed.proj.weight"], w.get("patch_embed.proj.bias"), stride=patch)
    x = x.flatten(2).transpose(1, 2)
    names = ("cls_token", "dist_token", "reg_token", "register_tokens")
    prefix = [w[name].expand(len(x), -1, -1) for name in names if name in w]
    count = sum(token.shape[1] for token in prefix)
    placed = next(
        n for n in (count, 1, 0) if math.isqrt(w["pos_embed"].shape[1] - n) ** 2 == w["pos_embed"].shape[1] - n
    )
    side = math.isqrt(w["pos_embed"].shape[1] - placed)
    moved = resampled(w["pos_embed"][:, placed:], side, rows, columns, antialias=antialias, offset=offset)
    tokens = torch.cat([*prefix, x + moved], dim=1)
    tokens[:, :placed] += w["pos_embed"][:, :placed]
    if "norm_pre.weight" in w:
        tokens = layer_norm(tokens, w, "norm_pre", eps)
    i = 0
    while f"blocks.{i}.norm1.weight" in w:
        tokens = timm_block(tokens, w, f"blocks.{i}", heads, eps, act)
        i += 1
    if "norm.weight" in w:
        tokens = layer_norm(tokens, w, "norm", eps)
    if "head.weight" not in w:
        return tokens, None
    if "head_dist.weight" in w:
        return tokens, (linear(tokens[:, 0], w, "head") + linear(tokens[:, 1], w, "head_dist")) / 2
    pooled = tokens[:, 0] if pool == "token" else tokens[:, count:].mean(1)
    if "fc_norm.weight" in w:
        pooled = layer_norm(pooled, w, "fc_norm", eps)
    return tokens, linear(pooled, w, "head")


def timm_block(x, w, at, heads, eps, act):
    y = attention(layer_norm(x, w, f"{at}.norm1", eps), w[f"{at}.attn.qkv.weight"], w.get(f"{at}.attn.qkv.bias"), heads)
    x = x + linear(y, w, f"{at}.attn.proj") * w.get(f"{at}.ls1.gamma", 1)
    y = layer_norm(x, w, f"{at}.norm2", eps)
    up, down = ("w12", "w3") if f"{at}.mlp.w12.weight" in w else ("fc1", "fc2")
    y = linear(y, w, f"{at}.mlp.{up}")
    if y.shape[-1] == 2 * w[f"{at}.mlp.{down}.weight"].shape[1]:
        gate, value = y.chunk(2, dim=-1)
        y = F.silu(gate) * value
    else:
        y = act(y)
    return x + linear(y, w, f"{at}.mlp.{down}") * w.get(f"{at}.ls2.gamma", 1)


def open_clip_shapes(*, width, depth, hidden, patch, side, out):
    """Names and shapes of open_clip's image tower, without what stands before them."""
    shapes = {"conv1.weight": (width, 3, patch, patch), "class_embedding": (width,), "proj": (width, out)}
    shapes["positional_embedding"] = (1 + side * side, width)
    for name in ("ln_pre", "ln_post"):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for i in range(depth):
        block = {
            "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,),
            "attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,),
            "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
            "mlp.c_fc.weight": (hidden, width), "mlp.c_fc.bias": (hidden,),
            "mlp.c_proj.weight": (width, hidden), "mlp.c_proj.bias": (width,),
        }  # fmt: skip
        shapes |= {f"transformer.resblocks.{i}.{name}": shape for name, shape in block.items()}
    return shapes


@torch.no_grad()
def open_clip_forward(w, picture, *, heads, act):
    """(tokens, the projected vector). open_clip resamples positions when it loads, bicubic and smoothed."""
    patch, width = w["conv1.weight"].shape[-1], len(w["class_embedding"])
    rows, columns = picture.shape[2] // patch, picture.shape[3] // patch
    x = F.conv2d(picture, w["conv1.weight"], stride=patch).flatten(2).transpose(1, 2)
    own, table = w["positional_embedding"][:1], w["positional_embedding"][1:]
    table = resampled(table[None], math.isqrt(len(table)), rows, columns, antialias=True)[0]
    x = torch.cat([w["class_embedding"].expand(len(x), 1, width), x], dim=1) + torch.cat([own, table])
    x = layer_norm(x, w, "ln_pre", 1e-5)
    i = 0
    while (at := f"transformer.resblocks.{i}") + ".ln_1.weight" in w:
        y = layer_norm(x, w, f"{at}.ln_1", 1e-5)
        y = attention(y, w[f"{at}.attn.in_proj_weight"], w[f"{at}.attn.in_proj_bias"], heads)
        x = x + linear(y, w, f"{at}.attn.out_proj")
        y = act(linear(layer_norm(x, w, f"{at}.ln_2", 1e-5), w, f"{at}.mlp.c_fc"))
        x = x + linear(y, w, f"{at}.mlp.c_proj")
        i += 1
    tokens = layer_norm(x, w, "ln_post", 1e-5)
    return tokens, tokens[:, 0] @ w["proj"]
