"""``interestlab knowledge``: whether a language model knows next interests that its log never showed."""
