"""Object detection as set prediction: object queries are the targets, the encoded picture is the source.

A picture's tokens each propose a box; the best become queries, and a short decoder refines them, each query looking at
the others and at the picture around its box (DETR, Carion et al. 2020; two-stage queries, Zhu et al. 2021, 4.2;
box-relative bias, Lin et al. 2023). No anchors of many shapes, no suppression of doubles afterwards.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from saccade.layers import NORMS, BoxBias, Decoder, DecoderBlock
from saccade.models.relations import RelationHead
from saccade.models.vit import ViT, ViTConfig

RARE = -4.6  # logit of 1 %: most queries find nothing, and the first loss should not say otherwise
WAVES = 8  # frequencies that say where a box is: the finest turns half around in 1/128 of the picture
FIRST_SIDE = 0.2  # of the picture: the box that a token proposes before it has learned anything


class DetectorConfig(BaseModel):
    """An encoder, and a decoder of `depth` blocks like the encoder's. relations: kinds of relations between objects
    to tell, 0 for none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    vit: ViTConfig
    classes: int = Field(gt=0, le=100_000)
    queries: int = Field(40, gt=0, le=10_000, description="objects that can be found in one picture")
    depth: int = Field(3, gt=0, le=100)
    relations: int = Field(0, ge=0, le=10_000)


class Proposals(NamedTuple):
    """What every token says of the object it lies in: a logit a class, once for all its tokens to agree on
    (`within`) and once for one token an object (`chosen`), and a box (centred, in shares of the picture); and where the
    middle of each token's patch is."""

    within: Float[Tensor, "b m classes"]
    chosen: Float[Tensor, "b m classes"]
    boxes: Float[Tensor, "b m 4"]
    centres: Float[Tensor, "m 2"]


class Noised(NamedTuple):
    """Known objects, spoilt, for the decoder to mend in training (denoising, Li et al. 2022).

    boxes: centred, in shares of the picture. labels: a class each, or `classes` for none known. group: objects see
    one another only within a group; -1 for filling.
    """

    boxes: Float[Tensor, "b p 4"]
    labels: Int64[Tensor, "b p"]
    group: Int64[Tensor, "b p"]


class Found(NamedTuple):
    """After each decoder block, a logit a class and a box for every query: those for noised objects (in training)
    first, then the picture's own. relations: logits of (subject, object, kind) among the latter."""

    logits: list[Float[Tensor, "b q classes"]]
    boxes: list[Float[Tensor, "b q 4"]]
    proposals: Proposals
    relations: Float[Tensor, "b n n r"] | None


class Detector(nn.Module):
    """Pictures in, sets of boxes out."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.vit = ViT(config.vit)
        block, width = config.vit.block, config.vit.block.width
        self.propose = Propose(width, config.classes)
        self.query = nn.Linear(width, width)
        self.known = nn.Embedding(config.classes + 1, width)
        self.place = nn.Sequential(nn.Linear(8 * WAVES, width), nn.GELU(), nn.Linear(width, width))
        self.decoder = Decoder(block, config.depth)
        self.bias = nn.ModuleList(BoxBias(block.heads) for _ in range(config.depth))
        self.heads = nn.ModuleList(Head(width, config.classes) for _ in range(config.depth))
        self.relate = RelationHead(width, config.depth, config.relations) if config.relations else None

    def forward(self, picture: Float[Tensor, "b c y x"], noised: Noised | None = None) -> Found:
        grid = self.vit.grid(picture)
        source = self.vit(picture)[:, self.vit.prefix :]
        proposals = self.propose(source, grid)
        x, boxes = self.best(source, proposals)
        queries, mask = x.shape[1], None
        if noised is not None:
            x = torch.cat([self.known(noised.labels), x], dim=1)
            boxes = torch.cat([noised.boxes, boxes], dim=1)
            mask = _within_groups(noised.group, queries)
        logits, refined, looks = [], [], []
        for block, bias, head in zip(self.decoder.blocks, self.bias, self.heads, strict=True):
            assert isinstance(block, DecoderBlock)
            place = self.place(waves(boxes, WAVES))
            if self.relate is not None:
                looks.append(block.self_queries_and_keys(x[:, -queries:], place[:, -queries:]))
            x = block(x, place, source, bias(boxes, grid), mask)
            said, boxes = head(x, boxes)
            logits.append(said)
            refined.append(boxes)
            boxes = boxes.detach()  # each block learns to mend what it is given, not to be given better
        relations = self.relate(looks, boxes[:, -queries:]) if self.relate is not None else None
        return Found(logits, refined, proposals, relations)

    def best(
        self, source: Float[Tensor, "b m d"], proposals: Proposals
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n 4"]]:
        """The tokens surest of an object, as queries with their boxes; how they are chosen is not differentiated."""
        sure = proposals.chosen.detach().amax(dim=-1)
        order = sure.topk(min(self.config.queries, sure.shape[1]), dim=1).indices[..., None]
        boxes = proposals.boxes.detach().gather(1, order.expand(-1, -1, 4))
        x = self.query(source.gather(1, order.expand(-1, -1, source.shape[2])))
        return x.float(), boxes  # the running sum of the blocks is fp32 under autocast, as the encoder's


class Propose(nn.Module):
    """Classes and a box for every token of the picture."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.within, self.chosen = _classifier(width, classes), _classifier(width, classes)
        self.shift = Shift(width)

    def forward(self, tokens: Float[Tensor, "b m d"], grid: tuple[int, int]) -> Proposals:
        rows, columns = ((torch.arange(n, device=tokens.device) + 0.5) / n for n in grid)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centres = torch.stack([x, y], dim=-1).flatten(0, 1)
        first = torch.cat([centres, torch.full_like(centres, FIRST_SIDE)], dim=-1)
        return Proposals(self.within(tokens).float(), self.chosen(tokens).float(), self.shift(tokens, first), centres)


class Head(nn.Module):
    """Classes of every query, and its box mended."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.norm = NORMS["rms"](width)
        self.classify, self.shift = _classifier(width, classes), Shift(width)

    def forward(
        self, x: Float[Tensor, "b n d"], boxes: Float[Tensor, "b n 4"]
    ) -> tuple[Float[Tensor, "b n classes"], Float[Tensor, "b n 4"]]:
        x = self.norm(x)
        return self.classify(x).float(), self.shift(x, boxes)


class Shift(nn.Module):
    """Mend boxes by what their tokens say: by nothing before anything is learned."""

    def __init__(self, width: int):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.last = nn.Linear(width, 4)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Float[Tensor, "b n d"], boxes: Float[Tensor, "*#b 4"]) -> Float[Tensor, "b n 4"]:
        hidden = self.hidden(x)
        with torch.autocast(x.device.type, enabled=False):  # an edge is to be exact to a part of a pixel
            return mended(boxes, self.last(hidden.float()))


def mended(boxes: Float[Tensor, "*#b 4"], shift: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*#b 4"]:
    """Move a centred box in shares of the picture by a shift of its logits, which keeps it between 0 and 1."""
    return torch.sigmoid(torch.logit(boxes, eps=1e-4) + shift)


def waves(boxes: Float[Tensor, "b n 4"], each: int) -> Float[Tensor, "b n e"]:
    """Sines and cosines of the four numbers of a box, at `each` frequencies from half a turn over the picture up, each
    twice the one before."""
    frequency = torch.pi * 2.0 ** torch.arange(each, device=boxes.device)
    angle = (boxes[..., None] * frequency).flatten(-2)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def _classifier(width: int, classes: int) -> nn.Linear:
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=0.01)
    nn.init.constant_(head.bias, RARE)
    return head


def _within_groups(group: Int64[Tensor, "b p"], queries: int) -> Bool[Tensor, "b 1 n n"]:
    """Noised objects see those of their own group, and the picture's queries one another: what is known must not
    leak to those who are to find it."""
    own = group.new_full((len(group), queries), -2)
    groups = torch.cat([group, own], dim=1)
    return (groups[:, :, None] == groups[:, None, :])[:, None]
