"""Is a time-sampled mesh asset, anyone's, what a pipeline takes it for? Needs nothing but the file."""
