"""Compose's services without a container engine: the same file, entry points, environment, secrets, limits and health.

Each service is a process in namespaces of its own (Linux, as root), with the embedded parts behind the images of Kafka
and QuestDB. It is a check of the file, not a way to run the pipeline: ``python -m selfcheck.composed``.
"""
