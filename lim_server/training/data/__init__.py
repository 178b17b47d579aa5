"""What the models are trained on: meshes in motion, and the pictures and points taken of them."""
