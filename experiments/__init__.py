"""Commands and the experiment protocol. Nobody imports this package."""
