"""How good the models are, by the tables of the paper."""
