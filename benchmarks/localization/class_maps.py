"""Attention against masks: does the cross-attention of a class's token cover that class, and nothing else?

    python -m benchmarks.localization.class_maps shapes --n 100

On drawn scenes: for each class that a scene has (but for the background), the map of the class's token as a
segmentation of the scene into that class and the rest (`saccade.lens.scores.segmentation`: what is above the map's
mean counts as the class), by decoder layer and head, for the mean of each layer's heads and for the mean of all; random
maps of the same grid beside each. Last, what the model itself says, for the same classes: its masks. (Average
precision is left out: where the class is a small part of a picture, a map of zeros has a high one.)
"""

import argparse

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saccade.data.scenes import Scenes
from saccade.data.scenes.segments import SceneSegments
from saccade.errors import SaccadeError
from saccade.lens import watch
from saccade.lens.scores import segmentation
from saccade.tasks import load
from saccade.tasks.segment.task import SegmentTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--n", type=int, default=100, help="scenes")
    parser.add_argument("--seed", type=int, default=999, help="of the scenes; not that of training")
    asked = parser.parse_args()
    task = load(asked.model)
    if not isinstance(task, SegmentTask):
        raise SaccadeError(f"{asked.model} is no segmenter of ours")
    scenes = SceneSegments(Scenes(asked.n, task.preprocess.size[0], seed=asked.seed))
    seen = [each for i in range(asked.n) for each in looks(task, scenes, i)]
    masks = [mask for _, _, mask in seen]
    stacked = torch.stack([maps for maps, _, _ in seen])
    print(f"{len(seen)} classes in {asked.n} scenes, {task.name}")
    layers, heads = stacked.shape[1:3]
    chosen = {"mean of all": stacked.mean(dim=(1, 2))}
    for layer in range(layers):
        chosen[f"layer {layer + 1}, mean of heads"] = stacked[:, layer].mean(dim=1)
        chosen |= {f"layer {layer + 1}, head {head + 1}": stacked[:, layer, head] for head in range(heads)}
    chosen["the model's masks"] = torch.stack([said.float() for _, said, _ in seen])
    for name, maps in chosen.items():
        found = segmentation(list(maps), masks)
        figures = (("mIoU", found.miou), ("accuracy", found.accuracy))
        said = "   ".join(f"{what} {each.value:.3f} ({each.low:.3f} to {each.high:.3f}), random {each.random:.3f}"
                          for what, each in figures)  # fmt: skip
        print(f"{name:<24} {said}", flush=True)


@torch.no_grad()
def looks(
    task: SegmentTask, scenes: SceneSegments, index: int
) -> list[tuple[Float[Tensor, "layers h rows columns"], Bool[Tensor, "y x"], Bool[Tensor, "y x"]]]:
    """Of each class in a scene: the maps of its token, what the model says, what is true."""
    pixels = task.preprocess(scenes.picture(index).image)[None]
    with watch(task.model.eval()) as trace:
        said = task.model(pixels).pixels[0].argmax(dim=0)
    truth = scenes.mask(index)
    crosses = trace["decoder.*.cross_attention"]
    found = []
    for label in truth.unique().tolist():
        if task.labels[label] != "background":
            maps = torch.stack([call.rows(label)[0, :, 0] for call in crosses])
            found.append((maps.unflatten(-1, task.vit.grid(pixels)), said == label, truth == label))
    return found


if __name__ == "__main__":
    main()
