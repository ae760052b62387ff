"""Time of the core: one ViT as Saccade, transformers and timm build it."""
