"""Which item, which cluster, which new cluster next? Agents asked about the last days of a log."""
