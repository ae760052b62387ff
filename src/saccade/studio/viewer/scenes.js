// Every kind of target that can be selected on a page, and its scene: one import and one entry each.
import { AnswerScene } from './answer.js';
import { AreaScene } from './areas.js';
import { AttributionScene } from './attribution.js';
import { BoxScene } from './boxes.js';
import { FilmScene } from './film.js';
import { FilmWordsScene } from './filmwords.js';
import { PaintedFilmScene } from './paintedfilm.js';
import { PaintingScene } from './painting.js';
import { PipelineScene } from './pipeline.js';
import { PlacesScene } from './places.js';
import { SourcesScene } from './sources.js';
import { WordScene } from './words.js';

/** By `Targets.kind` in Python. Each scene brings its data (`Look`), its texts and its part of the page. */
export const SCENES = { objects: BoxScene, classes: AreaScene, answer: AnswerScene, attribution: AttributionScene, film: FilmScene, words: WordScene, painting: PaintingScene, 'painted-film': PaintedFilmScene, 'film-words': FilmWordsScene, sources: SourcesScene, pipeline: PipelineScene, places: PlacesScene };
