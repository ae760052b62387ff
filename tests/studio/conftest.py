import pytest

from .node import put_modules


@pytest.fixture(scope="session")
def node_viewer(tmp_path_factory):
    """The viewer's files where node takes them for modules."""
    return put_modules(tmp_path_factory.mktemp("viewer"))
