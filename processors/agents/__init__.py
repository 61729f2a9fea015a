"""The agents of this project, a file each: what one does with a chunk. The contract: ``processors.streaming.agent``."""
