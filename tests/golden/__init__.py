"""The smallest run of every command, and the bytes of its results, kept so that a change of behaviour is seen."""
