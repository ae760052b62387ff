"""Pictures a second of our segmenter and of transformers' SegFormer-B0, in turns.

    python -m benchmarks.core.segmenter --json-file segmenter.json
    python -m benchmarks.core.segmenter --quick

From normalised pixels to the class of every pixel. Ours is the bundled model `shapes`; SegFormer has random weights and
the defaults of transformers, which are B0. Its logits, a quarter of the picture's size, are brought to the picture's as
its own post-processing does. Ours in patches of 16 pixels, with random weights, shows what the number of tokens costs.
Processor seconds of one thread; bf16 is autocast.
"""

import torch.nn.functional as F
from torch import Tensor
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from benchmarks.common.forward import COARSE, OURS, Network, compare_forward, in_patches_of_16, parameters, parse
from saccade.models.segmenter import Segmenter
from saccade.tasks import load

PEER = "SegFormer-B0"


def main() -> None:
    options = parse(__doc__)
    task = load("shapes")
    assert isinstance(task.model, Segmenter)
    ours, config = task.model.eval(), task.model.config
    coarse = Segmenter(config.model_copy(update={"vit": in_patches_of_16(config.vit)})).eval()
    peer = SegformerForSemanticSegmentation(SegformerConfig(num_labels=len(task.labels))).eval()

    def classes(pictures: Tensor) -> Tensor:
        logits = peer(pictures).logits.float()
        return F.interpolate(logits, size=pictures.shape[2:], mode="bilinear", align_corners=False).argmax(dim=1)

    print(f"parameters: {OURS} {parameters(ours)}, {PEER} {parameters(peer)}")
    ways: dict[str, Network] = {
        OURS: lambda pictures: ours(pictures).logits.argmax(dim=1),
        COARSE: lambda pictures: coarse(pictures).logits.argmax(dim=1),
        PEER: classes,
    }
    compare_forward(ways, PEER, options)


if __name__ == "__main__":
    main()
