"""The handwritten layer over the generated client: keyword dictionaries, states as words, logs as a generator.

What is public is in `gradient`.
"""
