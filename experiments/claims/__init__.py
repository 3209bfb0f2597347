"""The paper's claims C1 to C8 and their controls, over several worlds (``interestlab paper``)."""
