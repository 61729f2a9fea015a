"""The images of the pipeline, and the secrets that their containers read."""
