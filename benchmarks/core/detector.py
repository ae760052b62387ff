"""Pictures a second of our detector and of transformers' DETR, in turns.

    python -m benchmarks.core.detector --json-file detector.json
    python -m benchmarks.core.detector --quick

From normalised pixels to the class logits and boxes of all queries. Ours is the bundled model `scenes`, with relations;
DETR has random weights, as many layers, channels and queries, and a ResNet that brings it to at least as many
parameters (`benchmarks.training.detect`). It sees a quarter as many tokens, at a stride of 16 pixels; ours in
patches of 16, with random weights, sees as many.
Processor seconds of one thread; bf16 is autocast.
"""

from benchmarks.common.forward import COARSE, OURS, compare_forward, in_patches_of_16, parameters, parse
from benchmarks.training.detect import detr
from saccade.models.detector import Detector
from saccade.tasks import load

PEER = "DETR"


def main() -> None:
    options = parse(__doc__)
    task = load("scenes")
    assert isinstance(task.model, Detector)
    ours, config = task.model.eval(), task.model.config
    coarse = Detector(config.model_copy(update={"vit": in_patches_of_16(config.vit)})).eval()
    peer = detr(ours, ours.config.queries, seed=0).eval()
    print(f"parameters: {OURS} {parameters(ours)}, {PEER} {parameters(peer)}")
    compare_forward({OURS: ours, COARSE: coarse, PEER: peer}, PEER, options)


if __name__ == "__main__":
    main()
