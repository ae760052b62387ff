"""Notes on a call, put together."""


def joined(*notes: str) -> str:
    """Those that are not empty, as one."""
    return "; ".join(filter(None, notes))
