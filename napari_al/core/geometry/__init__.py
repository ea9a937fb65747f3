"""Shapes of regions: masks, adjacency, outlines."""
