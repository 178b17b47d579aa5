"""The stages of a job: arrays in, arrays out; pipeline.py wires them."""
