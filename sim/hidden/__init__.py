"""The world's latent state and its laws: what no recommender may import."""
