"""Faust on batches: chunks in, offsets committed when they are done, tables recovered in bulk.

Stock Faust 0.15.3 crosses 80 µs of awaits a record, and loses, repeats or hangs in ways that only a kill or a slow
broker shows. Each module here replaces one such part and says which.
"""
