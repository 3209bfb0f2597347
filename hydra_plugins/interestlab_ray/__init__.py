"""A Hydra launcher over Ray; Hydra finds launchers in packages of ``hydra_plugins`` only."""
