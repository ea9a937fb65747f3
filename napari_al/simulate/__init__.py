"""Annotators that read ground truth, the benchmark runner, reports."""
