"""Judging a provider: a line whose ticks are measured instead of produced, and what is said of it."""
