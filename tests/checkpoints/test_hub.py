"""Names on the hub, without a network: its cache as huggingface_hub lays it out, and a hub that does not answer."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import save_file

from saccade.checkpoints import load_checkpoint
from saccade.checkpoints.files import open_checkpoint
from saccade.errors import CheckpointError

from .plain_vits import random_weights, timm_shapes

SHAPE = {"width": 64, "depth": 1, "hidden": 29, "patch": 5, "side": 7, "classes": 3}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no hub behind it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", _no_network)
    real = huggingface_hub.snapshot_download

    def snapshot_download(repo, **options):
        return real(repo, **{**options, "local_files_only": True, "cache_dir": tmp_path})

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return tmp_path


def _no_network(*_, **__):
    raise ConnectionError("Name or service\nnot known")


def put(cache, repo: str):
    """The folder of a cached repository."""
    home = cache / f"models--{repo.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    folder = home / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("spec", "repo"), [("hf:someone/a-vit", "someone/a-vit"), ("timm:a_vit.x", "timm/a_vit.x")])
def test_cached_models_need_no_network(spec, repo, cache):
    save_file(random_weights(timm_shapes(**SHAPE)), put(cache, repo) / "model.safetensors")
    loaded = load_checkpoint(spec)
    assert loaded.family == "timm"
    assert loaded.name == repo.partition("/")[2]


def test_nothing_cached_and_no_network(cache):
    with pytest.raises(CheckpointError, match="someone/a-vit is not in the local cache and the hub could not be") as e:
        load_checkpoint("hf:someone/a-vit")
    assert "\n" not in str(e.value)


def test_half_a_download_is_not_used(cache):
    folder = put(cache, "someone/a-vit")
    (folder / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="could not be reached"):
        load_checkpoint("hf:someone/a-vit")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "model-00001-of-00002.safetensors"}}')
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="could not be reached"):
        load_checkpoint("hf:someone/a-vit")


@pytest.mark.parametrize("spec", ["hf:", "hf:a b", "hf:../../etc", "timm:", "hf:a/b/c"])
def test_invalid_names_are_refused(spec, cache):
    with pytest.raises(CheckpointError, match="is not a name on the hub"):
        load_checkpoint(spec)


def _listing(monkeypatch, *files):
    info = SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: info)


def test_a_folder_after_the_prefix_is_named(cache, tmp_path):
    with pytest.raises(CheckpointError, match=f"for the folder, give {tmp_path} without hf:"):
        load_checkpoint(f"hf:{tmp_path}")


def test_repositories_without_safetensors(cache, monkeypatch):
    _listing(monkeypatch, "README.md", "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"found only pytorch_model\.bin, a pickle"):
        load_checkpoint("hf:someone/a-vit")
    _listing(monkeypatch, "README.md")
    with pytest.raises(CheckpointError, match="found no weights at all"):
        load_checkpoint("hf:someone/a-vit")


def test_only_what_is_needed_is_fetched(cache, monkeypatch):
    files = ("model.safetensors", "open_clip_model.safetensors", "pytorch_model.bin", "config.json", "run.py")
    _listing(monkeypatch, *files)
    asked = []

    def snapshot_download(repo, **options):
        if options.get("local_files_only"):
            raise FileNotFoundError
        asked.append(options["allow_patterns"])
        folder = cache / "fetched"
        folder.mkdir()
        save_file(random_weights(timm_shapes(**SHAPE)), folder / "model.safetensors")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    load_checkpoint("hf:someone/a-vit")
    assert asked == [["model.safetensors", "config.json"]]


def test_a_tokenizer_is_fetched_where_text_is_read(cache, monkeypatch):
    folder = put(cache, "someone/a-clip")
    save_file(random_weights(timm_shapes(**SHAPE)), folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    assert open_checkpoint("hf:someone/a-clip").tokenizer == {}, "without text the cached files do"
    asked = []

    def snapshot_download(repo, **options):
        if not options.get("local_files_only"):
            asked.append(options["allow_patterns"])
            (folder / "tokenizer.json").write_text("{}")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    _listing(monkeypatch, "model.safetensors", "config.json", "tokenizer.json", "vocab.json")
    for _ in range(2):  # the second time from the cache
        opened = open_checkpoint("hf:someone/a-clip", tokenizer=True)
        assert opened.tokenizer == {"tokenizer.json": folder / "tokenizer.json"}
    assert asked == [["model.safetensors", "config.json", "tokenizer.json"]]


def test_no_such_repository(cache, monkeypatch):
    def not_found(*_, **__):
        raise RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None))

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", not_found)
    with pytest.raises(CheckpointError, match="the hub has no model someone/a-vit"):
        load_checkpoint("hf:someone/a-vit")
