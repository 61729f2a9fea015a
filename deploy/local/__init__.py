"""The whole pipeline on one machine: each part a process of the ``ashare`` command, tied to its starter's life."""
