"""One module per digital asset: what its cook and its buttons do."""
