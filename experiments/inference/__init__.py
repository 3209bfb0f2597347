"""What differences mean: intervals, bands and tests over users, days and worlds."""
