"""The procedural world: seeded scenes with exact boxes, masks, relations and descriptions."""

from saccade.data.scenes.composition import Combinations, is_held_out, parse_spec
from saccade.data.scenes.description import Description
from saccade.data.scenes.edits import edited_scene, minimal_edit
from saccade.data.scenes.guides import Guide, draw_guide, draw_hole
from saccade.data.scenes.instructions import EditedPair, edited_pair
from saccade.data.scenes.phrasing import Caption, FilmCaption, draw_caption, draw_film_caption
from saccade.data.scenes.relations import RELATIONS
from saccade.data.scenes.scenes import Scene, Scenes
from saccade.data.scenes.shapes import SHAPES
from saccade.data.scenes.style import Style, draw_style, is_held_out_style, restyled

__all__ = [
    "RELATIONS",
    "SHAPES",
    "Caption",
    "Combinations",
    "Description",
    "EditedPair",
    "FilmCaption",
    "Guide",
    "Scene",
    "Scenes",
    "Style",
    "draw_caption",
    "draw_film_caption",
    "draw_guide",
    "draw_hole",
    "draw_style",
    "edited_pair",
    "edited_scene",
    "is_held_out",
    "is_held_out_style",
    "minimal_edit",
    "parse_spec",
    "restyled",
]
