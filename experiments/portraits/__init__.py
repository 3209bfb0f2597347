"""A few people of a world, day by day, for someone who wants to see what is simulated (``interestlab portrait``)."""
