"""Pictures a second of our segmenter and of transformers' SegFormer-B0, in turns.

    python -m benchmarks.core.segmenter --json-file segmenter.json
    python -m benchmarks.core.segmenter --quick

From normalised pixels to the class of every pixel. Ours is the bundled model `shapes`; SegFormer has random weights and
the defaults of transformers, which are B0. Its logits, a quarter of the picture's size, are brought to the picture's as
its own post-processing does. Processor seconds of one thread; bf16 is autocast.
"""

import torch.nn.functional as F
from torch import Tensor
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from benchmarks.common.forward import OURS, compare_forward, parameters, parse
from saccade.tasks import load

PEER = "SegFormer-B0"


def main() -> None:
    options = parse(__doc__)
    task = load("shapes")
    ours = task.model.eval()
    peer = SegformerForSemanticSegmentation(SegformerConfig(num_labels=len(task.labels))).eval()

    def classes(pictures: Tensor) -> Tensor:
        logits = peer(pictures).logits.float()
        return F.interpolate(logits, size=pictures.shape[2:], mode="bilinear", align_corners=False).argmax(dim=1)

    print(f"parameters: {OURS} {parameters(ours)}, {PEER} {parameters(peer)}")
    compare_forward({OURS: lambda pictures: ours(pictures).logits.argmax(dim=1), PEER: classes}, PEER, options)


if __name__ == "__main__":
    main()
