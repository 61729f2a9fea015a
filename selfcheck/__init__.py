"""The independent check: what the pipeline gave, compared with what the market sent.

Nothing here imports the pipeline (producer, processors, market, the codec): it reads the socket's ledger, the topics,
the store and the HTTP answers with plain libraries, and computes what they should hold with arithmetic of its own.
"""
