"""``python -m experiments.tune``."""

from experiments.command import run_command

if __name__ == "__main__":  # processes that are spawned import this module too
    run_command("tune")
