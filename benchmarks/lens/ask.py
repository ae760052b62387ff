"""Time and memory of an answer about pictures, with what every word looked at: unwatched, watched, eager maps.

    python -m benchmarks.lens.ask                     # 4,000 tokens of context; needs about 8 GB of memory
    python -m benchmarks.lens.ask --quick             # 400 tokens, once: does it run

A LLaVA of random weights (8 layers of 512, 8 heads, 336-pixel pictures of 576 tokens each) writes 8 words after a
prompt of pictures and text, fp32, greedily, with a cache. "watched" keeps of each step the weights on all places of all
pictures in every layer and head, as `look --ask` does, under fused kernels; "eager" is transformers' own
`generate(..., output_attentions=True)`. All take turns, each in a process of its own; the median of the repeats after
one warm-up; memory is the peak resident size of one answer in a fresh process, above what it had before.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.common.machine import write_json
from benchmarks.common.paired import Ratio, interleave, speedup
from benchmarks.common.worker import NO_HOARDING, serve, worker

WAYS = ("fused", "watched", "eager")
LAYERS, HEADS, WIDTH, WORDS, IMAGE, SIDE = 8, 8, 512, 8, 999, 24


def work(way: str, context: int) -> None:
    """In a worker process: one answer per request."""
    import torch
    from PIL import Image
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    from saccade import watch
    from saccade.tasks.ask.image_token_layout import ImageTokenLayout, SeenPicture
    from saccade.tasks.ask.recorder import AttentionRecorder

    torch.manual_seed(0)
    patch = 14 if context >= SIDE**2 else 56
    grid = 336 // patch
    small = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": HEADS}
    vision = CLIPVisionConfig(image_size=336, patch_size=patch, num_hidden_layers=3, **small)
    text = LlamaConfig(vocab_size=1000, num_hidden_layers=LAYERS, **small)
    model = LlavaForConditionalGeneration(LlavaConfig(vision_config=vision, text_config=text, image_token_id=IMAGE))
    model.eval().set_attn_implementation("eager" if way == "eager" else "sdpa")
    pictures = int(0.9 * context) // grid**2
    ids = torch.randint(3, 900, (1, context))
    ids[0, 1 : 1 + pictures * grid**2] = IMAGE
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    given["pixel_values"] = torch.randn(pictures, 3, 336, 336)
    settings = {"do_sample": False, "max_new_tokens": WORDS, "min_new_tokens": WORDS, "return_dict_in_generate": True}
    blank = Image.new("RGB", (8, 8))
    tokens = (1 + torch.arange(pictures * grid**2)).split(grid**2)
    seen = [SeenPicture(blank, (336, 336), (grid, grid), own, lambda place: ()) for own in tokens]
    places = ImageTokenLayout(seen, context, (ids[0] == IMAGE).float())

    def answer() -> None:
        with torch.no_grad(), ExitStack() as scope:
            recorder = AttentionRecorder(places, "self")
            if way == "watched":
                scope.enter_context(watch(model, only="model.language_model.*", views={"rows": recorder}))
            out = model.generate(**given, **settings, output_attentions=way == "eager")
        found = recorder.layers(WORDS) if way == "watched" else (out.attentions or [()])[0]
        assert len(found) == (0 if way == "fused" else LAYERS), f"{way}: {len(found)} layers seen"

    serve(lambda request: answer)


def measure(context: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Seconds of each repeat, and bytes above the idle model, of each way."""
    module = __spec__.name
    results: dict[str, dict[str, Any]] = {}
    for way in WAYS:
        with worker(module, way, context, environment=NO_HOARDING) as answer:
            found = answer()
        results[way] = {"above": found["peak"] - found["idle"]}
    with ExitStack() as scope:
        every = {way: scope.enter_context(worker(module, way, context)) for way in WAYS}
        answers = interleave(every, repeats)
    for way in WAYS:
        results[way]["times"] = [each["seconds"] for each in answers[way]]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--context", type=int, default=4000, help="tokens of the prompt")
    parser.add_argument("--repeats", type=int, default=3, help="timed answers of each way")
    parser.add_argument("--quick", action="store_true", help="a short context, once, to see that it runs")
    parser.add_argument("--json-file", type=Path, help="write the ratios to this file as well")
    parser.add_argument("--worker", nargs=2, metavar=("WAY", "CONTEXT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return work(args.worker[0], int(args.worker[1]))
    context, repeats = (400, 1) if args.quick else (args.context, args.repeats)
    results = measure(context, repeats)
    print(f"{WORDS} words after {context} tokens, {LAYERS} layers of {HEADS} heads, median of {repeats}")
    for way, found in results.items():
        median = sorted(found["times"])[len(found["times"]) // 2]
        print(f"  {way:<8} {median:8.2f} s   above the idle model {found['above'] / 1e9:6.2f} GB")
    times = {way: found["times"] for way, found in results.items()}
    above = {way: found["above"] for way, found in results.items()}
    ratios = {
        "time: watched / unwatched": speedup(times, "fused", "watched"),
        "time: eager / watched": speedup(times, "watched", "eager"),
        "memory: watched / unwatched": Ratio.of_memory(above["watched"] / above["fused"]),
        "memory: eager / watched": Ratio.of_memory(above["eager"] / above["watched"]),
    }
    for name, ratio in ratios.items():
        print(f"  {name:<28} {ratio}")
    write_json(args.json_file, {f"{context} tokens": {name: each.to_dict() for name, each in ratios.items()}})


if __name__ == "__main__":
    main()
