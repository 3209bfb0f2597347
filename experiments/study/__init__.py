"""What a comparison is made of: world, protocol, agents and runtime, checked; the wall around agents."""
