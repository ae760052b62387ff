"""What the lens says of models that another tool has changed: right, said, refused, or wrong without a word.

    python -m benchmarks.coverage.crossings --markdown docs/crossings.md

Tiny models with random weights, each with one tool that changes what runs: caches of blocks, adapters, merged tokens,
other orders of tokens, wrappers, tasks of one thread. Each view or edit is compared with the truth, computed by hand:

  right     it is the truth within 1e-5
  said      it is not there, and the trace names the module and the reason
  refused   an error says what is wrong
  wrong     anything else

A tool that does not import is left out and named. To have all of them without installing them into the environment:

    pip install --no-deps --target libs peft accelerate psutil tomesd diffusers
    pip install --no-deps --target libs keras absl-py h5py ml_dtypes namex optree
    PYTHONPATH=src:libs python -m benchmarks.coverage.crossings
"""

import argparse
import asyncio
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "KERAS_BACKEND": "torch"}  # before they are imported

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import saccade
from saccade.errors import SaccadeError
from saccade.lens import TokenMap, regions, token_map, watch

NEAR = 1e-5


@dataclass(frozen=True)
class Outcome:
    """said: how it came out, and of what."""

    outcome: str
    detail: str = ""


@dataclass(frozen=True)
class Crossing:
    """tool: the distribution whose version is printed. does: to the model. asks: of the lens."""

    tool: str
    does: str
    asks: str
    run: Callable[[], Outcome]


def compared(found: Tensor, truth: Tensor) -> Outcome:
    """Right if they are the same."""
    off = float((found - truth).abs().max()) if found.shape == truth.shape else float("inf")
    return Outcome("right" if off <= NEAR else "wrong", "" if off <= NEAR else f"off by {off:.2g}")


class Attention(nn.Module):
    """Two heads of attention of a given mask."""

    def __init__(self, mask: Any = None) -> None:
        super().__init__()
        self.qkv, self.mask = nn.Linear(16, 48), mask

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask).transpose(1, 2).flatten(2)


def causal_bias() -> Outcome:
    from torch.nn.attention.bias import causal_lower_right

    model, x = Attention(causal_lower_right(7, 7)), torch.randn(2, 7, 16)
    with watch(model) as trace:
        model(x)
    q, k, _ = model.qkv(x).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    return compared(trace[0].weights(), saccade.attention_weights(q, k, torch.ones(7, 7, dtype=torch.bool).tril()))


def distributed_tensors() -> Outcome:
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29655"}
    dist.init_process_group("gloo")
    try:
        mesh = init_device_mesh("cpu", (1,))
        q, k, v = (distribute_tensor(torch.randn(1, 4, 5, 8), mesh, [Shard(1)]) for _ in range(3))

        class Net(nn.Module):
            def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                return F.scaled_dot_product_attention(q, k, v)

        with watch(model := Net()) as trace:
            model(q, k, v)
        return Outcome("said", next(iter(trace.missed.values()))) if trace.missed else Outcome("wrong")
    finally:
        dist.destroy_process_group()


def lora_in_a_layer() -> Outcome:
    from peft import LoraConfig, get_peft_model

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    adapted = get_peft_model(Net(), LoraConfig(r=4, target_modules=["linear1", "linear2"], init_lora_weights=False))
    x = torch.randn(2, 5, 16)
    plain = adapted.eval()(x)
    with saccade.edit(adapted, {"*": saccade.scale_heads(1.0, 0)}):
        return compared(adapted(x), plain)


def tuned_prefix() -> Outcome:
    from peft import PrefixTuningConfig, TaskType, get_peft_model
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    small = {"intermediate_size": 32, "num_attention_heads": 2}
    eyes = CLIPVisionConfig(hidden_size=16, num_hidden_layers=1, image_size=16, patch_size=8, **small)
    words = LlamaConfig(hidden_size=16, num_hidden_layers=2, num_key_value_heads=2, vocab_size=64, **small)
    config = LlavaConfig(vision_config=eyes, text_config=words, image_token_index=63, image_seq_length=4)
    llava = LlavaForConditionalGeneration(config).eval()
    prefix = PrefixTuningConfig(
        task_type=TaskType.CAUSAL_LM, num_virtual_tokens=3, num_layers=2, token_dim=16, num_attention_heads=2
    )
    tuned = get_peft_model(llava, prefix).eval()
    ids = torch.tensor([[1, 5, 63, 63, 63, 63, 6, 7]])
    given = {"input_ids": ids, "pixel_values": torch.randn(1, 3, 16, 16), "attention_mask": torch.ones_like(ids)}
    with watch(tuned) as trace:
        tuned.generate(**given, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    decoder = trace["*language_model*"]
    first = torch.stack([call.rows(-1)[0, :, 0].mean(0)[3 + 2 : 3 + 6] for call in decoder.runs(0)]).mean(0)
    return compared(regions(decoder, TokenMap((2, 2), prefix=2, suffix=2))[0].flatten(), first)


def unet(size: int = 8) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=size, layers_per_block=1, block_out_channels=(32, 64), cross_attention_dim=16, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=8,
    ).eval()  # fmt: skip


def word_map(model: Any, x: Tensor, text: Tensor, steps: int = 1) -> Tensor:
    with watch(model, only="*.attn2") as trace:
        for step in range(steps):
            model(x[step:], torch.tensor(1), encoder_hidden_states=text[step:])
    return trace.words({"cat": [2]}, grid=tuple(x.shape[2:]))["cat"]


def sliced() -> Outcome:
    model, x, text = unet(), torch.randn(2, 4, 8, 8), torch.randn(2, 5, 16)
    truth = word_map(model, x, text)
    model.set_attention_slice("max")
    return compared(word_map(model, x, text), truth)


def guidance_ends() -> Outcome:
    model, x, text = unet(), torch.randn(2, 4, 8, 8), torch.randn(2, 5, 16)
    return compared(word_map(model, x, text, steps=2)[:1], word_map(model, x, text)[:1])


def merged_tokens() -> Outcome:
    import tomesd

    model, x, text = unet(16), torch.randn(1, 4, 16, 16), torch.randn(1, 5, 16)
    truth = word_map(model, x, text)
    tomesd.apply_patch(model, ratio=0.75, merge_crossattn=True, use_rand=False)
    return compared(word_map(model, x, text), truth)


def cached_blocks() -> Outcome:
    from diffusers import FluxTransformer2DModel
    from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache

    flux = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=2, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 6, 6),
    ).eval()  # fmt: skip
    given = {"encoder_hidden_states": torch.randn(1, 5, 32), "pooled_projections": torch.randn(1, 32),
             "timestep": torch.tensor([0.5]), "img_ids": torch.zeros(16, 3), "txt_ids": torch.zeros(5, 3)}  # fmt: skip
    x = torch.randn(1, 16, 4)
    with watch(flux) as trace:
        flux(hidden_states=x, **given)
    truth = trace.rollout(5)
    apply_first_block_cache(flux, FirstBlockCacheConfig(threshold=10.0))
    with flux.cache_context("cond"), watch(flux) as trace:
        for _ in range(2):
            flux(hidden_states=x, **given)
    return compared(trace.runs(1).rollout(5), truth)


def registers_before_text() -> Outcome:
    from diffusers import AuraFlowTransformer2DModel

    aura = AuraFlowTransformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, caption_projection_dim=32, pos_embed_max_size=64,
    ).eval()  # fmt: skip
    with watch(aura) as trace:
        aura(torch.randn(1, 4, 8, 8), torch.randn(1, 7, 32), torch.tensor([0.5]))
    call = trace[0]
    truth = call.columns([8 + 2])[:, :, call.parts["image"]]  # 8 registers come first
    return compared(call.block("image", "text").columns([2]), truth)


def functional_layers() -> Outcome:
    import keras

    given = keras.Input((7, 8))
    first = keras.layers.MultiHeadAttention(2, 4, name="first")(given, given)
    model = keras.Model(given, keras.layers.MultiHeadAttention(2, 4, name="second")(first, first))
    with watch(model) as trace:
        model(torch.randn(1, 7, 8))
    named = [call.name for call in trace] == ["first", "second"]
    return Outcome("right" if named else "wrong", "" if named else repr(trace))


def cache_of_keys() -> Outcome:
    from transformers import LlamaConfig, LlamaForCausalLM

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    llama = LlamaForCausalLM(LlamaConfig(vocab_size=64, **small)).eval()
    with watch(llama) as trace:
        llama.generate(input_ids=torch.tensor([[1, 5, 6]]), max_new_tokens=3, min_new_tokens=3, do_sample=False)
    kinds = {(call.kind, call.shape[3] - call.shape[2]) for call in trace}
    right = kinds == {("self", 0), ("self", 3), ("self", 4)}
    return Outcome("right" if right else "wrong", "" if right else repr(kinds))


def shuffled_patches() -> Outcome:
    from transformers import ViTMAEConfig, ViTMAEModel

    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    mae = ViTMAEModel(ViTMAEConfig(image_size=16, patch_size=4, mask_ratio=0.0, **small)).eval()
    return Outcome("wrong", repr(token_map(mae, torch.randn(1, 3, 16, 16), 17)))


def tasks_of_one_thread() -> Outcome:
    model, x = Attention(), torch.randn(1, 5, 16)

    async def watched(steps: int) -> int:
        with watch(model) as trace:
            for _ in range(steps):
                model(x)
                await asyncio.sleep(0)
        return len(trace)

    async def both() -> list[int]:
        return list(await asyncio.gather(watched(2), watched(3)))

    found = asyncio.run(both())
    return Outcome("right" if found == [2, 3] else "wrong", "" if found == [2, 3] else repr(found))


CROSSINGS = [
    Crossing("torch", "a CausalBias as mask, whose numbers are never written", "weights", causal_bias),
    Crossing("torch", "queries and keys as DTensors", "a watch", distributed_tensors),
    Crossing("torch", "two asyncio tasks that run one model in turn", "a watch in each", tasks_of_one_thread),
    Crossing("peft", "LoRA inside nn.TransformerEncoderLayer", "an edit that changes nothing", lora_in_a_layer),
    Crossing("peft", "prefix tuning of a model that writes", "regions", tuned_prefix),
    Crossing("diffusers", "attention computed in slices", "words", sliced),
    Crossing("diffusers", "guidance that ends, so that the batch halves", "words", guidance_ends),
    Crossing("diffusers", "blocks answered from a cache (FirstBlockCache)", "rollout of a cached step", cached_blocks),
    Crossing("diffusers", "registers before the text (AuraFlow)", "block(image, text)", registers_before_text),
    Crossing("tomesd", "tokens merged to a quarter", "words", merged_tokens),
    Crossing("keras", "a functional model, whose layers are not registered", "names of the calls", functional_layers),
    Crossing("transformers", "one token a step over a cache of keys", "kind", cache_of_keys),
    Crossing("transformers", "patches in an order drawn in every run (MAE)", "token_map", shuffled_patches),
]


def outcome(crossing: Crossing) -> Outcome | None:
    """How one came out; None where the tool does not import."""
    try:
        importlib.import_module(crossing.tool)
    except Exception:
        return None
    torch.manual_seed(0)
    try:
        with torch.no_grad():
            return crossing.run()
    except SaccadeError as error:
        return Outcome("refused", str(error))


def table(found: list[tuple[Crossing, Outcome]], lacking: list[str]) -> str:
    """All of it as a page."""
    lines = [
        "# With other tools",
        "",
        "Made by `python -m benchmarks.coverage.crossings --markdown docs/crossings.md`: tiny models that another tool",
        "has changed, and what the lens says of them. *right*: the truth, computed by hand, within 1e-5. *said*: named",
        "in `trace.missed` with the reason. *refused*: an error that says what is wrong.",
        "",
        "| tool | what it does | asked for | outcome |",
        "| --- | --- | --- | --- |",
    ]
    for each, came in found:
        lines.append(f"| {each.tool} {version(each.tool)} | {each.does} | {each.asks} | {came.outcome} |")
    lines += ["", f"Not run, as they did not import: {', '.join(lacking)}."] if lacking else []
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    args = parser.parse_args()
    found, lacking = [], []
    for each in CROSSINGS:
        came = outcome(each)
        if came is None:
            lacking.append(each.tool)
            continue
        found.append((each, came))
        print(f"{came.outcome:<8} {each.tool:<13} {each.does}: {each.asks}  {came.detail[:90]}", flush=True)
    if args.markdown:
        args.markdown.write_text(table(found, sorted(set(lacking))))
    if any(came.outcome == "wrong" for _, came in found):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
