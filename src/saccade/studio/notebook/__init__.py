"""Pages in notebooks: in a frame of a cell's output, and as a widget whose selection Python reads and sets."""

from saccade.lazy import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__, {"AttentionWidget": ".widget", "TraceView": ".trace_view"})
