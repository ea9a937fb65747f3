"""The dock in which rounds are looked at."""
