"""What is trained: cells, and grids of them."""
