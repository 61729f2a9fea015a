"""The gateway: one reader of Kafka, any number of browsers."""
