"""The calibration of a classifier as a picture."""

from jaxtyping import Float, Int
from PIL import Image, ImageDraw
from torch import Tensor

from saccade.tasks.drawing import ACCENT, FAINT, INK, PAPER, font


def draw_calibration(probabilities: Float[Tensor, "n classes"], truth: Int[Tensor, "n"], bins: int = 10) -> Image.Image:
    """Reliability diagram (Guo et al. 2017, figure 1): accuracy per confidence bin; on the diagonal, a perfectly
    calibrated model."""
    confidence, predicted = probabilities.max(dim=1)
    correct = (predicted == truth).float()
    side, edge = 420, 64
    picture = Image.new("RGB", (side + 2 * edge, side + 2 * edge), PAPER)
    draw, small = ImageDraw.Draw(picture), font(13)
    draw.rectangle((edge, edge, edge + side, edge + side), outline=FAINT)
    draw.line((edge, edge + side, edge + side, edge), fill=FAINT, width=2)
    for i in range(bins):
        low, high = i / bins, (i + 1) / bins
        members = (confidence > low) & (confidence <= high)
        if not members.any():
            continue
        height = correct[members].mean().item()
        box = (edge + low * side + 3, edge + (1 - height) * side, edge + high * side - 3, edge + side)
        draw.rectangle(box, fill=ACCENT)
        draw.text(((box[0] + box[2]) / 2, box[1] - 4), str(int(members.sum())), INK, small, anchor="mb")
    for tick in (0.0, 0.5, 1.0):
        draw.text((edge + tick * side, edge + side + 8), f"{tick:.0%}", INK, small, anchor="mt")
        draw.text((edge - 8, edge + (1 - tick) * side), f"{tick:.0%}", INK, small, anchor="rm")
    draw.text((edge + side / 2, edge + side + 30), "confidence", INK, small, anchor="mt")
    draw.text((edge, edge - 12), "accuracy (number of pictures above each bar)", INK, small, anchor="lb")
    return picture
