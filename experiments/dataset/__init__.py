"""``interestlab dataset``: logged data sets from and to other formats."""
