"""What a page shows of patches beside attention: features, a second image, class maps."""
