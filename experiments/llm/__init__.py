"""The language model's stages and tables."""
