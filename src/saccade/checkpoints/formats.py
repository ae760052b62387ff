"""Names of the files of a checkpoint: those that are read, and those that are refused."""

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
CONVERT = (
    "convert it on a machine that trusts it: "
    "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'model.safetensors')"
)
# In this order: what transformers and timm write, then open_clip's.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors")
EXPECTED = f"a folder with {WEIGHTS[0]} and config.json, a .safetensors file, hf:owner/name or timm:name"
CONFIGS = (
    "config.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
)
TOKENIZERS = ("tokenizer.json", "spiece.model")  # either of them
TOKENIZER = (
    *TOKENIZERS,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)
