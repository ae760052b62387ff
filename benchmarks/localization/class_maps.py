"""Cross-attention of a segmenter's class tokens, scored as segmentations of drawn scenes.

    python -m benchmarks.localization.class_maps shapes --n 100

On drawn scenes: for each class that a scene has (but for the background), the map of the class's token as a
segmentation of the scene into that class and the rest (`saccade.lens.scores.segmentation`: what is above the map's
mean counts as the class), by decoder layer and head, for the mean of each layer's heads and for the mean of all; random
maps of the same grid beside each. Last, the model's own predicted masks for the same classes. (Average
precision is left out: where the class is a small part of a image, a map of zeros has a high one.)
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.localization.options import parse
from saccade.data.scenes import Scenes
from saccade.data.scenes.scenes import SceneSegments
from saccade.lens import watch
from saccade.lens.scores import segmentation
from saccade.tasks.segment.task import SegmentTask


def main() -> None:
    task, options = parse(__doc__, SegmentTask, n=100)
    scenes = SceneSegments(Scenes(options.n, task.preprocess.size[0], seed=options.seed))
    results = [each for i in range(options.n) for each in class_maps(task, scenes, i)]
    masks = [mask for _, _, mask in results]
    stacked = torch.stack([maps for maps, _, _ in results])
    print(f"{len(results)} classes in {options.n} scenes, {task.name}")
    layers, heads = stacked.shape[1:3]
    by_name = {"mean of all": stacked.mean(dim=(1, 2))}
    for layer in range(layers):
        by_name[f"layer {layer + 1}, mean of heads"] = stacked[:, layer].mean(dim=1)
        by_name |= {f"layer {layer + 1}, head {head + 1}": stacked[:, layer, head] for head in range(heads)}
    by_name["the model's masks"] = torch.stack([predicted.float() for _, predicted, _ in results])
    for name, maps in by_name.items():
        result = segmentation(list(maps), masks)
        scores = (("mIoU", result.miou), ("accuracy", result.accuracy))
        listed = "   ".join(f"{what} {each.value:.3f} ({each.low:.3f} to {each.high:.3f}), random {each.random:.3f}"
                          for what, each in scores)  # fmt: skip
        print(f"{name:<24} {listed}", flush=True)


@torch.no_grad()
def class_maps(
    task: SegmentTask, scenes: SceneSegments, index: int
) -> list[tuple[Float[Tensor, "layers h rows columns"], Bool[Tensor, "y x"], Bool[Tensor, "y x"]]]:
    """For each class in a scene: the maps of its token, the predicted mask, the true mask."""
    pixels = task.preprocess(scenes.picture(index).image)[None]
    with watch(task.model.eval()) as trace:
        predicted = task.model(pixels).logits[0].argmax(dim=0)
    truth = scenes.mask(index)
    crosses = trace["decoder.*.cross_attention"]
    results = []
    for label in truth.unique().tolist():
        if task.labels[label] != "background":
            maps = torch.stack([call.rows(label)[0, :, 0] for call in crosses])
            results.append((maps.unflatten(-1, task.vit.grid(pixels)), predicted == label, truth == label))
    return results


if __name__ == "__main__":
    main()
