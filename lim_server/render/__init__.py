"""Pictures of meshes and of triplanes."""
