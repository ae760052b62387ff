"""The mean of the weights of two models of the same shape, as a model of its own.

    python recipes/average.py runs/matcher-emoji runs/matcher-relations --share 0.25 --out runs/matcher-average

hardware: any, seconds. Where the first was trained further from the second, their mean often scores higher than either
(Wortsman et al. 2022, WiSE-FT). The scores and the recipe on the card are those of the first.
"""

import argparse
from pathlib import Path

import torch

from saccade.tasks import load
from saccade.tasks.saved import TrainedTask


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder, or name of a bundled model")
    parser.add_argument("other", help="the same")
    parser.add_argument("--share", type=float, default=0.5, help="of the other's weights, 0 to 1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    args = parser.parse_args()

    task, other = load(args.model), load(args.other)
    assert isinstance(task, TrainedTask)
    assert isinstance(other, TrainedTask)
    if task.model.config != other.model.config:
        parser.error(f"{args.model} and {args.other} are models of different shapes")
    with torch.no_grad():
        own, others = task.model.state_dict(), other.model.state_dict()
        task.model.load_state_dict({name: own[name].lerp(others[name], args.share) for name in own})
    task.save(args.out)
    print(f"{args.out}: {1 - args.share:g} of {args.model}, {args.share:g} of {args.other}")


if __name__ == "__main__":
    main()
