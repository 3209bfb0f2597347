"""What a model knows of interests that go together and that its log never showed (``interestlab knowledge``)."""
