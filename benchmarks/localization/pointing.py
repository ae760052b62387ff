"""Pointing game on scenes: does the cross-attention of the query that found an object peak on that object?

    python -m benchmarks.localization.pointing MODEL [--n 200] [--seed 999]

For each true object that is found (score and IoU at least 0.5, same class), the peak of its query's map, by decoder
layer (mean of the heads) and for the mean of all layers, beside a point at random and the middle of the object's box.
"""

import argparse

import torch

from saccade.data.scenes import Scenes
from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.lens.scores import pointing_game
from saccade.ops.boxes import iou
from saccade.studio.queries import query_layers
from saccade.tasks import load
from saccade.tasks.detect.task import DetectTask, detections


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--n", type=int, default=200, help="scenes")
    parser.add_argument("--seed", type=int, default=999, help="of the scenes; not that of training")
    asked = parser.parse_args()
    task = load(asked.model)
    if not isinstance(task, DetectTask):
        raise SaccadeError(f"{asked.model} is no detector of ours")
    scenes, maps, masks, there = Scenes(asked.n, 128, seed=asked.seed), [], [], 0
    for i in range(asked.n):
        looks, own = played(task, scenes, i)
        maps.append(looks)
        masks.append(own)
        there += len(scenes.objects(i))
    print(f"{sum(map(len, masks))} of {there} objects of {asked.n} scenes are found by {task.name}")
    layers = maps[0].shape[1]
    for layer in range(layers + 1):
        chosen = [one[:, layer] if layer < layers else one.mean(dim=1) for one in maps]
        game = pointing_game(chosen, masks)
        name = f"layer {layer + 1}" if layer < layers else "mean of layers"
        print(
            f"{name:<15} {game.hits:6.1%} ({game.low:.1%} to {game.high:.1%})   random {game.random:.1%}   "
            f"middle of the box {game.centre:.1%}"
        )


@torch.no_grad()
def played(task: DetectTask, scenes: Scenes, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (n layers y x) and masks (n h w) of the objects that are found."""
    picture, truth = scenes.picture(index), scenes.objects(index)
    inputs = task.preprocess(picture.image)[None]
    with watch(task.model.eval()) as trace:
        out = task.model(inputs)
    found = task.to_picture(detections(out, task.preprocess.size)[0], picture)
    assert found.queries is not None
    assert truth.masks is not None
    rows, columns = task.vit.grid(inputs)
    layers = query_layers(trace, found.queries, len(found), rows * columns).layers
    looks = torch.stack([layer.looks.mean(dim=0) for layer in layers], dim=1).unflatten(-1, (rows, columns))
    right = (iou(truth.boxes[:, None], found.boxes[None]) >= 0.5) & (truth.labels[:, None] == found.labels[None])
    right &= found.scores[None] >= 0.5
    best = right.int().argmax(dim=1)  # the surest of those
    seen = right.any(dim=1)
    return looks[best[seen]], truth.masks[seen]


if __name__ == "__main__":
    main()
