"""Size, accuracy and speed of the page of a 1,024-pixel image: 4,097 tokens, 12 layers of 12 heads.

    python -m benchmarks.lens.page                  # about 2 minutes on 2 quiet cores, 3 GB of memory
    python -m benchmarks.lens.page --side 14        # the page of a 224-pixel image
    python -m benchmarks.lens.page --keep out.html

Queries and keys are made up, with what real ones have: features that vary smoothly over regions of a image, with
noise of their own in every patch, a spectrum that falls off, a mean in the keys, heads from sharp to even. Prints how
the page was packed and how exact its weights are, beside plain rounding; and if Chromium is there, how long the page
takes to open and to answer a click.
"""

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from saccade.lens import Call, Trace
from saccade.studio.page.pack import pack_attention_call, rotate_queries_keys
from saccade.studio.page.page import PageInput, write_page

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "studio"))
import webdriver

ROWS = 64  # sampled, to measure errors


def made_up(side: int, layers: int, heads: int, width: int = 64, noise: float = 0.5) -> Trace:
    """A trace over one prefix token and side x side patches."""
    features = 6 * width
    axis = torch.linspace(-1, 1, side)
    places = torch.cartesian_prod(axis, axis)
    regions = torch.tanh(3 * torch.sin(places @ torch.randn(2, 96) * 3 + 6.28 * torch.rand(96)))
    waves = torch.sin(places @ torch.randn(2, 160) * 2 ** (3 * torch.rand(160)))
    smooth = torch.cat([places, regions, waves], 1)
    spectrum = torch.arange(1, features + 1) ** -0.6
    calls = []
    for layer in range(layers):
        x = smooth @ torch.randn(smooth.shape[1], features) / math.sqrt(smooth.shape[1])
        x = (x + noise * x.std() * torch.randn_like(x)) * spectrum
        x = torch.cat([2 * spectrum * torch.randn(1, features), x])
        x = x / x.square().mean(1, keepdim=True).sqrt()
        alike, own = torch.randn(2, heads, features, width)
        q = x @ (alike + 0.3 * own)
        k = x @ (0.7 * alike + torch.rand(heads, 1, 1) * own) + 2 * torch.randn(heads, 1, width)
        spread = (q @ (k - k.mean(1, keepdim=True))[:, :ROWS].transpose(1, 2)).std((1, 2), keepdim=True) / 8
        gain = ((0.6 + 2.4 * torch.rand(heads, 1, 1)) / spread).sqrt()
        calls.append(
            Call(f"blocks.{layer}.attn", "self", (gain * q)[None], (gain * k)[None], torch.randn_like(k)[None])
        )
    return Trace(calls)


def errors(call: Call, scores) -> dict[str, float]:
    """Relative error of weights above 1/N (median, 95th percentile), and the largest absolute error."""
    rows = torch.linspace(0, call.shape[2] - 1, ROWS).long()
    exact = call.rows(rows)[0].double()
    wrong = (scores(rows.tolist()).double().softmax(-1) - exact).abs()
    relative = (wrong / exact)[exact > 1 / call.shape[3]]
    return {
        "median": round(float(relative.median()), 4),
        "p95": round(float(relative[torch.randperm(len(relative))[:100_000]].quantile(0.95)), 4),
        "largest": round(float(wrong.max()), 4),
    }


def plain(call: Call, bits: int):
    """Scores from q and k rounded plainly: the mean of k taken out, one step a head and channel, no coding."""

    def rounded(x):
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        step = (high - low) / (2**bits - 1)
        return ((x - low) / step).round() * step + low

    q, k = rounded(call.q[0]), rounded(call.k[0] - call.k[0].mean(1, keepdim=True))
    return lambda rows: q[:, rows] @ k.transpose(1, 2) * call.scale


def compare(call: Call, grid: tuple[int, int]) -> None:
    """One layer, packed in several ways."""
    for bits in (8, 6, 4, 3, 2):
        print(f"  plain rounding, {bits:.2f} bits a number:  {errors(call, plain(call, bits))}")
    for error in (0.01, 0.03, 0.06, 0.12, 0.25):
        packed, rounded = pack_attention_call(
            rotate_queries_keys(call.q[0], call.k[0], call.scale, prefix=1), error, grid, draft=True
        )
        print(f"  ours, {packed.bits:.2f} bits a number:            {errors(call, rounded.scores)}")


CLICKS = """
const picture = document.getElementById('picture');
const box = picture.getBoundingClientRect();
const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const times = [];
for (let i = 0; i < 20; i++) {
  const [x, y] = [((i * 0.381966) % 1) * box.width, ((i * 0.2360680) % 1) * box.height];
  await frame();
  const start = performance.now();
  picture.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: box.left + x, clientY: box.top + y }));
  const worked = performance.now() - start;
  await frame();
  times.push([worked, performance.now() - start]);
}
const start = performance.now();
while (document.getElementById('maps').ariaBusy === 'true') await frame();
return { times, maps: performance.now() - start };
"""
HEADS = """
const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const cells = document.querySelectorAll('#maps [role=row]:last-child button');
for (let i = 0; i < 20; i++) {
  cells[i % cells.length].click();
  await frame();
  await frame();
}
"""


def in_chromium(path: Path) -> dict[str, float]:
    """Milliseconds, medians of 20 clicks. On a busy machine only those of the processor say much."""
    with tempfile.TemporaryDirectory() as profile, webdriver.Browser(Path(profile)) as browser:
        browser.devtools("Performance.enable", timeDomain="threadTicks")
        busy = lambda: next(  # noqa: E731
            m["value"] for m in browser.devtools("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration"
        )
        start = time.perf_counter()
        browser.open(path, "#language=en")
        browser.wait("document.getElementById('readout').textContent", 60)
        opened = time.perf_counter() - start
        browser.wait("document.getElementById('maps').ariaBusy === 'false'", 120)
        filled = time.perf_counter() - start
        found = browser.run(CLICKS)
        before = busy()
        browser.run(HEADS)
        worked = (busy() - before) / 20
        assert not browser.console(), browser.console()
    work, frame = zip(*found["times"], strict=True)
    return {
        "opened, first map there": round(1000 * opened),
        "all small maps there": round(1000 * filled),
        "click on a patch, its script": round(statistics.median(work), 1),
        "click on a patch, painted": round(statistics.median(frame), 1),
        "all small maps after it": round(found["maps"]),
        "click on a head, processor time with layout and paint": round(1000 * worked, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=64, help="patches a side")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--noise", type=float, default=0.5, help="of each patch, beside what is smooth")
    parser.add_argument("--keep", type=Path, help="keep the page here")
    options = parser.parse_args()
    torch.manual_seed(0)
    trace, grid = (
        made_up(options.side, options.layers, options.heads, noise=options.noise),
        (options.side, options.side),
    )
    print(f"{trace[0].shape[2]:,} tokens, {options.layers} layers, {options.heads} heads. Errors of weights:")
    compare(trace[options.layers // 2], grid)
    picture = Image.radial_gradient("L").resize((16 * options.side, 16 * options.side))
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder) / "page.html"
        start = time.perf_counter()
        report = write_page(path, PageInput(picture, grid, trace, prefix=["cls"], title="benchmark"))
        print(
            f"written in {time.perf_counter() - start:.1f} s: {report.bytes / 1e6:.1f} MB, {report.bits:.2f} bits a ",
            end="",
        )
        print(
            f"number, {report.layers_kept} of {report.layers} layers; a weight is off by {report.error_typical:.1%} ",
            end="",
        )
        print(f"of itself (median), by {report.error_largest:.4f} at most")
        missing = webdriver.missing()
        print(f"not opened: {missing}" if missing else f"in Chromium, milliseconds: {json.dumps(in_chromium(path))}")


if __name__ == "__main__":
    main()
