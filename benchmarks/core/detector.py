"""Pictures a second of our detector and of transformers' DETR, in turns.

    python -m benchmarks.core.detector --json-file detector.json
    python -m benchmarks.core.detector --quick

From normalised pixels to the class logits and boxes of all queries. Ours is the bundled model `scenes`, with relations;
DETR has random weights, as many layers, channels and queries, and a ResNet that brings it to at least as many
parameters (`benchmarks.training.detect`). It sees a quarter as many tokens: a stride of 16 pixels, ours has 8.
Processor seconds of one thread; bf16 is autocast.
"""

from benchmarks.common.forward import OURS, compare_forward, parameters, parse
from benchmarks.training.detect import detr
from saccade.models.detector import Detector
from saccade.tasks import load

PEER = "DETR"


def main() -> None:
    options = parse(__doc__)
    task = load("scenes")
    assert isinstance(task.model, Detector)
    ours = task.model.eval()
    peer = detr(ours, ours.config.queries, seed=0).eval()
    print(f"parameters: {OURS} {parameters(ours)}, {PEER} {parameters(peer)}")
    compare_forward({OURS: ours, PEER: peer}, PEER, options)


if __name__ == "__main__":
    main()
