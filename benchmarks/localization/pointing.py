"""Pointing game: does the cross-attention of the query that found an object peak on that object?

    python -m benchmarks.localization.pointing MODEL [--n 200] [--seed 999]

For each true object that is found (score and IoU at least 0.5, same class), the peak of its query's map, by decoder
layer (mean of the heads) and for the mean of all layers, beside a random point and the center of the object's box.
"""

import torch

from benchmarks.localization.options import parse
from saccade.data.scenes import Scenes
from saccade.lens import watch
from saccade.lens.scores import pointing_game
from saccade.ops.boxes import iou
from saccade.studio.page.queries import query_layers
from saccade.tasks.detect.task import DetectTask, postprocess


def main() -> None:
    task, options = parse(__doc__, DetectTask, n=200)
    scenes, maps, masks, total = Scenes(options.n, 128, seed=options.seed), [], [], 0
    for i in range(options.n):
        object_maps, object_masks = found_objects(task, scenes, i)
        maps.append(object_maps)
        masks.append(object_masks)
        total += len(scenes.objects(i))
    print(f"{sum(map(len, masks))} of {total} objects of {options.n} scenes are found by {task.name}")
    layers = maps[0].shape[1]
    for layer in range(layers + 1):
        selected = [each[:, layer] if layer < layers else each.mean(dim=1) for each in maps]
        game = pointing_game(selected, masks)
        name = f"layer {layer + 1}" if layer < layers else "mean of layers"
        print(
            f"{name:<15} {game.hits:6.1%} ({game.low:.1%} to {game.high:.1%})   random {game.random:.1%}   "
            f"center of the box {game.centre:.1%}"
        )


@torch.no_grad()
def found_objects(task: DetectTask, scenes: Scenes, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps (n layers y x) and masks (n h w) of the objects that are found."""
    picture, truth = scenes.picture(index), scenes.objects(index)
    inputs = task.preprocess(picture.image)[None]
    with watch(task.model.eval()) as trace:
        out = task.model(inputs)
    found = task.to_picture_pixels(postprocess(out, task.preprocess.size)[0], picture)
    assert found.queries is not None
    assert truth.masks is not None
    rows, columns = task.vit.grid(inputs)
    layers = query_layers(trace, found.queries, len(found), rows * columns).layers
    object_maps = torch.stack([layer.weights.mean(dim=0) for layer in layers], dim=1).unflatten(-1, (rows, columns))
    correct = (iou(truth.boxes[:, None], found.boxes[None]) >= 0.5) & (truth.labels[:, None] == found.labels[None])
    correct &= found.scores[None] >= 0.5
    best = correct.int().argmax(dim=1)  # detections are sorted by score
    matched = correct.any(dim=1)
    return object_maps[best[matched]], truth.masks[matched]


if __name__ == "__main__":
    main()
