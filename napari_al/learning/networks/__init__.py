"""Networks: encoders, decoders and their weights."""
