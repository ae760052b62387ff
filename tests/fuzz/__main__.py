"""The command line."""

import argparse
import random
import signal
import sys
from pathlib import Path

from tests.fuzz.driver import Tally, fuzz, replay


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="number of the first case; default: a random one")
    parser.add_argument("--only", nargs="+", help="readers; default: all")
    parser.add_argument("--out", type=Path, default=Path("fuzz-failures"), help="where failing cases are saved")
    parser.add_argument("--replay", type=Path, nargs="+", help="saved cases to run instead")
    options = parser.parse_args()
    if options.replay:
        return replay(options.replay)
    first = random.SystemRandom().randrange(10**9) if options.seed is None else options.seed
    tally = Tally()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the counts are printed then as after Ctrl-C
    try:
        fuzz(first, options.minutes * 60, options.only, options.out, tally)
    except KeyboardInterrupt:
        print("stopped")
    print(f"from case {first} on: {tally}" + "".join(f"\n  {n} x {kind}" for kind, n in tally.failures.items()))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
