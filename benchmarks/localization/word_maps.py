"""Pointing game for words: does the map of a word in a tiny CLIP peak on the object that the word describes?

    python -m benchmarks.localization.word_maps --minutes 16 --n 150      # about 25 minutes on one core
    python -m benchmarks.localization.word_maps --quick                   # shows that it works

A tiny CLIP of transformers learns from nothing, on drawn scenes and what they show ("a red disc and a blue star").
Then, on scenes that it has not seen, with texts of two objects that differ in colour and shape: of each object the map
of its colour's name and of its shape's (`saccade.lens.interactions`), and whether its peak lies on the object (the
pointing game), at the input of the first, the middle and the last block of both towers. Beside it: a point anywhere,
and whether the peak lies on the other object of the text, which a map of whatever strikes the eye would hit as often.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from saccade.checkpoints.matchers import PublicMatcher, load_matcher
from saccade.data.scenes import Scene, Scenes
from saccade.data.scenes.captions import article
from saccade.lens import Tower, interactions
from saccade.lens.scores import pointing_game

SIDE, BATCH, LEARNING = 64, 128, 1.5e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=16, help="minutes of training")
    parser.add_argument("--scenes", type=int, default=12_000, help="scenes to train on")
    parser.add_argument("--n", type=int, default=150, help="scenes to evaluate on")
    parser.add_argument("--steps", type=int, default=32, help="steps of integration")
    parser.add_argument("--quick", action="store_true", help="a tiny run, to show that the script works")
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.scenes, options.n, options.steps = 0.05, 200, 5, 2
    world = Scenes(options.scenes + options.n, SIDE, seed=7)
    with tempfile.TemporaryDirectory() as folder:
        train(world, options.scenes, options.minutes, Path(folder))
        matcher = load_matcher(folder)
    results = [each for i in range(options.n) if (each := word_maps(matcher, world, options.scenes + i, options.steps))]
    masks = [own for _, own in results]
    for depth in range(3):
        for kind, word in enumerate(("colour", "shape")):
            maps = [found[depth, kind] for found, _ in results]
            hit, other = pointing_game(maps, masks), pointing_game(maps, [own.flip(0) for own in masks])
            print(
                f"{('first', 'middle', 'last')[depth]:<7} {word:<7} {hit.hits:.3f} ({hit.low:.3f} to {hit.high:.3f}), "
                f"the other object {other.hits:.3f} ({other.low:.3f} to {other.high:.3f}), anywhere {hit.random:.3f}, "
                f"{hit.objects} objects"
            )


def named(scene: Scene, world: Scenes) -> list[tuple[str, str]]:
    """Colour and shape of each object."""
    labels = scene.objects.labels.tolist()
    return [(colour, world.classes[label]) for colour, label in zip(scene.colours, labels, strict=True)]


def text_of(objects: list[tuple[str, str]]) -> str:
    return " and ".join(article(" ".join(each)) for each in objects)


def train(world: Scenes, count: int, minutes: float, folder: Path) -> None:
    """A CLIP of a million numbers, by its own loss, into a folder."""
    seen = [world.scene(i) for i in range(count)]
    names = [named(scene, world) for scene in seen]
    words = sorted({word for each in names for pair in each for word in pair} | {"a", "an", "and"})
    vocabulary = {word: i for i, word in enumerate(["<pad>", "<s>", "<unk>", *words, "</s>"])}
    end = len(vocabulary) - 1
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [("<s>", 1), ("</s>", end)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
    read = {
        "vocab_size": end + 1,
        "max_position_embeddings": 16,
        "bos_token_id": 1,
        "eos_token_id": end,
        "pad_token_id": 0,
    }
    towers = {"text_config": {**sizes, **read}, "vision_config": {**sizes, "image_size": SIDE, "patch_size": 8}}
    model = CLIPModel(CLIPConfig(**towers, projection_dim=64))
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    mean, std = (torch.tensor(x)[:, None, None] for x in (processor.image_mean, processor.image_std))
    pixels = torch.stack([torch.from_numpy(scene.pixels) for scene in seen]).permute(0, 3, 1, 2)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING, betas=(0.9, 0.98), weight_decay=0.1)
    draw, started, step = np.random.default_rng(0), time.monotonic(), 0
    while (spent := (time.monotonic() - started) / 60 / minutes) < 1:
        optimizer.param_groups[0]["lr"] = LEARNING * min(1, (step + 1) / 100) * max(0.02, 1 - spent)
        at = draw.integers(0, count, BATCH)
        some = [draw.permutation(len(names[i]))[: draw.integers(1, 3)] for i in at]
        texts = tokenizer.encode_batch([text_of([names[i][j] for j in each]) for i, each in zip(at, some, strict=True)])
        given = {
            "pixel_values": (pixels[at].float() / 255 - mean) / std,
            "input_ids": torch.tensor([each.ids for each in texts]),
            "attention_mask": torch.tensor([each.attention_mask for each in texts]),
        }
        loss = model(**given, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    print(f"{step} steps, loss {loss.item():.2f} (chance {np.log(BATCH):.2f})", flush=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def word_maps(
    matcher: PublicMatcher, world: Scenes, index: int, steps: int
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The maps of two objects of a scene (depth, colour or shape, object, y x) and their masks; None of a scene that
    has no two objects of a colour and a shape of their own."""
    scene = world.scene(index)
    names, masks = named(scene, world), scene.objects.masks
    assert masks is not None
    alone = [i for i, own in enumerate(names) if all(sum(each[k] == own[k] for each in names) == 1 for k in (0, 1))]
    chosen = [i for i in alone if masks[i].sum() > 30][:2]
    if len(chosen) < 2:
        return None
    reading = matcher.read(text_of([names[i] for i in chosen]))
    pixels = matcher.preprocess(world.picture(index).image)[None]
    model, maps = matcher.model, []
    for depth in (0, 2, 3):
        blocks = [model.get_submodule(f"{tower}_model.encoder.layers.{depth}") for tower in ("vision", "text")]
        see = Tower(matcher.embed_images, {"pixel_values": pixels}, {"pixel_values": 0 * pixels}, blocks[0])
        read = {"input_ids": reading.ids}, {"input_ids": matcher.replace_words_by_padding(reading)}
        found = interactions(see, Tower(matcher.embed_texts, *read, blocks[1]), reading.groups, steps)
        answers = found.values[:, 1:].unflatten(1, (SIDE // 8, SIDE // 8))
        places = [[reading.words.index(names[i][kind]) for i in chosen] for kind in (0, 1)]
        maps.append(torch.stack([answers[each] for each in places]))
    return torch.stack(maps), masks[chosen].bool()


if __name__ == "__main__":
    main()
