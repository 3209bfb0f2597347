"""``python -m experiments.new_agent``."""

from experiments.command import run_command

run_command("new-agent")
