"""Read the topics of an ashare-stream pipeline: typed records, each change once, from any point, at any pace."""
