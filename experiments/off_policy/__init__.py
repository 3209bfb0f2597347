"""Off-policy evaluation: the rewards of a policy, estimated from the log of another one."""
