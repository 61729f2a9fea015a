"""Publishing to Kafka and reading from it, on aiokafka.

Importing it changes aiokafka for the whole process: connections raise connection errors alone (``boundary``), records
with any header are read (``records``), and its loggers are limited in rate (``quiet``).
"""

import aiokafka
import aiokafka.admin  # with every logger of theirs made

from broker import boundary, quiet, records

boundary.install()
records.install()
quiet.install()
assert aiokafka
