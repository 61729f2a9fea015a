"""Whatever speaks to Kafka here does so over connections that fail as connections do, and says so at a bounded rate."""

import aiokafka
import aiokafka.admin  # with every logger of theirs made

from broker import boundary, quiet, records

boundary.install()
records.install()
quiet.install()
assert aiokafka
