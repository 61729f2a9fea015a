"""A real Kafka and a real QuestDB on a machine with nothing but Python: no Docker, no Java."""

from deploy.embedded.cluster import KafkaCluster
from deploy.embedded.kafka import KafkaBroker
from deploy.embedded.questdb import QuestDB
from deploy.embedded.server import free_port

__all__ = ["KafkaBroker", "KafkaCluster", "QuestDB", "free_port"]
