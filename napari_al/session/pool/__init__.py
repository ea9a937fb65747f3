"""What may still be asked: scores, order, answered regions."""
