"""Language models: references, one encoding, and forward passes that compute a shared beginning once."""
